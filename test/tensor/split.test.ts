import test from 'ava';
import { useBackend } from '../../src/tensor/backend.js';
import { split } from '../../src/tensor/split.js';
import { tf, type Tensor } from '../../src/tensor/tf.js';

test.serial('splits along an axis, and its gradient puts the parts together again', async (t) => {
  await useBackend('cpu');
  const x = tf.tensor2d([[1, 2, 3, 4], [5, 6, 7, 8]]);
  const parts = split(x, 2, 1);
  t.deepEqual(parts.map((p) => p.arraySync()), [[[1, 2], [5, 6]], [[3, 4], [7, 8]]]);
  t.deepEqual(split(x, 2, 0).map((p) => p.arraySync()), [[[1, 2, 3, 4]], [[5, 6, 7, 8]]]);
  const gradient = tf.grad((v: Tensor) => tf.add(tf.sum(split(v, 2, 1)[0]), tf.mul(tf.sum(split(v, 2, 1)[1]), 3)))(x);
  t.deepEqual(gradient.arraySync(), [[1, 1, 3, 3], [1, 1, 3, 3]]);
  t.throws(() => split(x, 3, 1), { message: /can't be split into 3 equal parts/ });
});
