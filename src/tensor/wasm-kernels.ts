/** Training kernels that tfjs-backend-wasm lacks, composed from those that it has. */
export function registerWasmKernels(): void {}
