import { tf } from './tf.js';
import { UserError } from '../errors.js';
import { registerWasmKernels } from './wasm-kernels.js';

/** tfjs backends that compute eagerly: for notebooks, debugging and tests. `cpu` is the oracle of gradient checks. */
export type EagerBackend = 'wasm' | 'cpu';

const loaded = new Set<string>();

/**
 * Makes an eager tfjs backend current, loading it on first use.
 * @throws UserError for a name that is none of them.
 */
export async function useBackend(name: EagerBackend = 'wasm'): Promise<void> {
  if (name !== 'wasm' && name !== 'cpu') throw new UserError(`backend '${String(name)}' is unknown: choose wasm or cpu`);
  if (!loaded.has(name)) {
    if (name === 'cpu') await import('@tensorflow/tfjs-backend-cpu');
    else {
      await import('@tensorflow/tfjs-backend-wasm');
      registerWasmKernels();
    }
    loaded.add(name);
  }
  await tf.setBackend(name);
  await tf.ready();
}
