import { tf } from './tf.js';
import { UserError } from '../errors.js';
import { loadTensorFlow, whyNoTensorFlow } from './tensorflow.js';
import { registerTensorFlowKernels } from './tensorflow-kernels.js';
import { registerWasmKernels } from './wasm-kernels.js';

/**
 * tfjs backends that compute eagerly: for notebooks, calibration, debugging and tests. `tensorflow` needs one of two optional packages
 * (README, TensorFlow); `cpu` is the oracle of gradient checks.
 */
export const EAGER_BACKENDS = ['tensorflow', 'wasm', 'cpu'] as const;
/** Name of an eager backend. */
export type EagerBackend = (typeof EAGER_BACKENDS)[number];

const choices = `choose ${EAGER_BACKENDS.slice(0, -1).join(', ')} or ${EAGER_BACKENDS.at(-1)}`;
const isBackend = (name: unknown): name is EagerBackend => EAGER_BACKENDS.includes(name as EagerBackend);

/**
 * The eager backend where nobody names one: what the environment variable QDETR_BACKEND says, else TensorFlow where a package of it
 * loads, else WebAssembly.
 * @throws UserError when QDETR_BACKEND names no backend.
 */
export function defaultBackend(): EagerBackend {
  const wanted = process.env.QDETR_BACKEND;
  if (!wanted) return loadTensorFlow().loaded ? 'tensorflow' : 'wasm';
  if (!isBackend(wanted)) throw new UserError(`QDETR_BACKEND is '${wanted}', which is no backend: ${choices}, or leave it unset`);
  return wanted;
}

/**
 * What the name of a run's engine has at its end: calibration, post-training quantization and observations compute on the eager backend of
 * their process, and another one rounds differently. Nothing where that is wasm, which is everywhere.
 */
export function eagerSuffix(): string {
  const name = defaultBackend();
  const loaded = name === 'tensorflow' ? loadTensorFlow().loaded : undefined;
  return name === 'wasm' ? '' : `, eager on ${name}${loaded ? ` ${loaded.version} (${loaded.device})` : ''}`;
}

const loading: Record<EagerBackend, () => Promise<unknown> | void> = {
  tensorflow: () => {
    const finding = loadTensorFlow();
    if (finding.loaded) return registerTensorFlowKernels();
    throw new UserError(
      `backend tensorflow can't be used (${whyNoTensorFlow(finding)}): run npm install --no-save -P @tensorflow/tfjs-node@4.22.0 or, where its download is blocked, ` +
      'bash src/tensor/tensorflow/build-binding.sh; or set QDETR_BACKEND to wasm',
    );
  },
  wasm: async () => {
    await import('@tensorflow/tfjs-backend-wasm');
    registerWasmKernels();
  },
  cpu: () => import('@tensorflow/tfjs-backend-cpu'),
};
const loaded = new Set<EagerBackend>();

/**
 * Makes an eager tfjs backend current, loading it on first use.
 * @param name left out: {@link defaultBackend}
 * @returns its name
 * @throws UserError for a name that is none of them, and for `tensorflow` where none of its packages loads.
 */
export async function useBackend(name: EagerBackend = defaultBackend()): Promise<EagerBackend> {
  if (!isBackend(name)) throw new UserError(`backend '${String(name)}' is unknown: ${choices}`);
  if (!loaded.has(name)) {
    await loading[name]();
    loaded.add(name);
  }
  await tf.setBackend(name);
  await tf.ready();
  return name;
}
