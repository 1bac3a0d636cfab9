import test from 'ava';
import { EAGER_BACKENDS, type EagerBackend } from '../../src/tensor/backend.js';
import { loadTensorFlow, whyNoTensorFlow } from '../../src/tensor/tensorflow.js';

const tensorflow = loadTensorFlow();
// A skipped test of every file that asks says why a backend is not tested on this machine.
if (!tensorflow.loaded) test.skip(`on tensorflow (${whyNoTensorFlow(tensorflow)})`, () => {});

/** The eager backends that this machine has, to test on: `wasm` and `cpu` everywhere, `tensorflow` where a package of it loads. */
export const backends: readonly EagerBackend[] = EAGER_BACKENDS.filter((name) => name !== 'tensorflow' || tensorflow.loaded);
/** Those that are compared with the oracle, tfjs's `cpu` backend. */
export const comparedBackends = backends.filter((name) => name !== 'cpu');
