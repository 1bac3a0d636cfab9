import test from 'ava';
import { calibrate, type QuantizerMethod } from '../../src/quantizer/calibration.js';
import type { Observer } from '../../src/quantizer/observer.js';
import { REAL, type Precision } from '../../src/quantizer/precision.js';
import { quantizeOperand } from '../../src/quantizer/quantize.js';
import { conv2d } from '../../src/quantizer/quantized-convolution.js';
import { linear } from '../../src/quantizer/quantized-linear.js';
import { useBackend } from '../../src/tensor/backend.js';
import { compileStep } from '../../src/tensor/compile-step.js';
import { sizeOf, toTensors, type ArrayValue, type ParameterValues, type Parameters } from '../../src/tensor/parameters.js';
import { RandomStream } from '../../src/tensor/random.js';
import { tf, type Tensor } from '../../src/tensor/tf.js';

const stream = new RandomStream(8);
const random = (...shape: number[]): ArrayValue => ({ shape, data: Float32Array.from({ length: sizeOf(shape) }, () => stream.normal()) });

/** A convolution, a linear layer and an attention operand of 2 heads, one after the other; images [B, 6, 6, 3]. */
function network(parameters: Parameters, images: Tensor, precision: Precision, observe?: Observer): Tensor {
  const features = tf.relu(conv2d(parameters, 'conv', images, { stride: 2, padding: 1 }, precision, observe));
  const tokens = linear(parameters, 'fc', tf.reshape(features, [2, 9, 4]), precision, observe);
  const heads = tf.transpose(tf.reshape(tokens, [2, 9, 2, 3]), [0, 2, 1, 3]);
  return quantizeOperand(parameters, 'attn.q_quantizer', heads, precision.attentionBits, observe);
}

for (const method of ['LSQ+', 'LSQ'] as QuantizerMethod[]) {
  for (const bits of [2, 4]) {
    test.serial(`${method}, ${bits} bits: a compiled step gives the values and all gradients of the eager one`, async (t) => {
      const precision: Precision = { weightBits: bits, activationBits: bits, attentionBits: 8 };
      const images = random(2, 6, 6, 3);
      const values: ParameterValues = { 'conv.weight': random(3, 3, 3, 4), 'conv.bias': random(4), 'fc.weight': random(6, 4), 'fc.bias': random(6) };
      await useBackend('cpu');
      Object.assign(values, calibrate([images], (x, observe) => network(toTensors(values), tf.tensor(x.data, [...x.shape]), REAL, observe), precision, method));
      const names = Object.keys(values);
      const differentiate = (parameters: Parameters, x: Tensor): Record<string, Tensor> => {
        const loss = (...ts: Tensor[]) => tf.sum(tf.square(network(Object.fromEntries(names.map((n, i) => [n, ts[i]])), x, precision)));
        const { value, grads } = tf.valueAndGrads(loss as never)(names.map((n) => parameters[n]));
        return { loss: value, ...Object.fromEntries(names.map((n, i) => [n, grads[i]])) };
      };
      const eager = differentiate(toTensors(values), tf.tensor(images.data, [...images.shape]));
      const step = await compileStep((state, { images: x }) => ({ outputs: differentiate(state, x) }), { state: values, inputs: { images: { shape: images.shape, dtype: 'float32' } } });
      const compiled = await step.run({ images: images.data });
      for (const [name, expected] of Object.entries(eager)) {
        const wanted = expected.dataSync();
        const size = Math.max(...Array.from(wanted, Math.abs));
        t.true(size > 0, `${name} has a gradient`);
        wanted.forEach((v, i) => t.true(Math.abs(v - compiled[name][i]) <= 1e-4 * size, `${name}[${i}]: ${compiled[name][i]} instead of ${v}`));
      }
      await step.dispose();
    });
  }
}
