import test from 'ava';
import { useBackend } from '../../../src/tensor/backend.js';
import { halfProductsError } from '../../../src/tensor/webgpu/half-product-check.js';
import type { GpuDevice } from '../../../src/tensor/webgpu/adapter.js';
import { testDevice } from './device.js';

const { gpu } = await testDevice();
const onDevice = gpu ? test.serial : test.serial.skip;

test.before(() => useBackend('cpu'));

const product = (a: Float32Array, b: Float32Array): Float32Array => {
  const y = new Float32Array(256 * 256);
  for (let i = 0; i < 256; i++) for (let j = 0; j < 256; j++) for (let k = 0; k < 128; k++) y[i * 256 + j] += a[i * 128 + k] * b[k * 256 + j];
  return y;
};

test('a right product passes; a wrong element, or one that is no number, does not', async (t) => {
  const none = {} as GpuDevice;
  t.is(await halfProductsError(none, (a, b) => Promise.resolve(product(a, b))), undefined);
  const broken = (change: (y: Float32Array) => void) => halfProductsError(none, (a, b) => {
    const y = product(a, b);
    change(y);
    return Promise.resolve(y);
  });
  t.regex((await broken((y) => { y[70] += 1; })) ?? '', /wrong in 1 of 65536 elements/);
  t.regex((await broken((y) => { y[65535] = NaN; y[0] = Infinity; })) ?? '', /wrong in 2 of 65536 elements/);
});

onDevice('the product of an adapter is right in f32', async (t) => {
  t.is(await halfProductsError(gpu!), undefined);
});
