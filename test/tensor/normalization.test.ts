import test from 'ava';
import { useBackend } from '../../src/tensor/backend.js';
import { batchNorm } from '../../src/tensor/batch-norm.js';
import { layerNorm } from '../../src/tensor/layer-norm.js';
import { tf, type Tensor } from '../../src/tensor/tf.js';
import { readDetrFixture, tensorOf, worstDifference } from '../models/fixture.js';
import { backends } from './backends.js';

test.serial('layer norm by hand: (1, 3) becomes (-1, 1), scaled and shifted', async (t) => {
  await useBackend('cpu');
  const y = layerNorm(tf.tensor2d([[1, 3]]), tf.tensor1d([2, 10]), tf.tensor1d([0, 5]), 0);
  t.deepEqual(await y.array(), [[-2, 15]]);
});

test.serial('batch norm by hand: a channel of 1, 3 becomes -1, 1; mean 2, variance 1', async (t) => {
  await useBackend('cpu');
  const { y, mean, variance } = batchNorm(tf.tensor2d([[1], [3]]), tf.tensor1d([1]), tf.tensor1d([0]), 0);
  t.deepEqual([await y.array(), await mean.array(), await variance.array()], [[[-1], [1]], [2], [1]]);
});

const layerOf = (x: Tensor, w: Tensor, b: Tensor): Tensor => layerNorm(x, w, b);
const batchOf = (x: Tensor, w: Tensor, b: Tensor): Tensor => batchNorm(x, w, b).y;
for (const [name, key, f] of [['layer norm', 'layerNorm', layerOf], ['batch norm', 'batchNorm', batchOf]] as const) {
  test.serial(`${name}: values and gradients are PyTorch's`, async (t) => {
    for (const backend of backends) {
      await useBackend(backend);
      const given = readDetrFixture()[key];
      const [x, weight, bias, dy] = [given.x, given.weight, given.bias, given.dy].map(tensorOf);
      t.true(worstDifference(f(x, weight, bias), given.y) < 1e-5);
      const gradients = tf.grads((...inputs: Tensor[]) => f(inputs[0], inputs[1], inputs[2]))([x, weight, bias], dy);
      for (const [i, wanted] of [given.dx, given.dWeight, given.dBias].entries()) t.true(worstDifference(gradients[i], wanted) < 1e-5, `gradient ${i} on ${backend}`);
    }
  });
}
