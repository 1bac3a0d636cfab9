import { readFileSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { useBackend } from '../../src/tensor/backend.js';
import { tf, type Tensor } from '../../src/tensor/tf.js';
import { adamWCorrections } from '../../src/tensor/adamw-corrections.js';
import { adamW } from '../../src/tensor/adamw.js';
import { clipGradientNorm } from '../../src/training/gradient-clipping.js';
import { learningRateFactor } from '../../src/training/schedule.js';
import { backends } from '../tensor/backends.js';

test.serial('the first step by hand: a gradient of any size moves a parameter by the learning rate, against its sign', async (t) => {
  await useBackend('wasm');
  const result = adamW(
    { parameter: tf.tensor1d([1, 1]), gradient: tf.tensor1d([4, -0.01]), first: tf.zeros([2]), second: tf.zeros([2]) },
    { learningRate: tf.scalar(0.5), correction1: tf.scalar(1 - 0.9), correction2: tf.scalar(1 - 0.999), weightDecay: 0.2 },
  );
  close(t, await result.parameter.data(), [1 * (1 - 0.1) - 0.5, 1 * (1 - 0.1) + 0.5], 1e-6);
  close(t, await result.first.data(), [0.4, -0.001], 1e-7);
  close(t, await result.second.data(), [0.016, 1e-7], 1e-8);
});

test.serial('clipping by hand: norm 5 to 1, norm below the limit untouched', async (t) => {
  await useBackend('wasm');
  const { gradients, norm } = clipGradientNorm([tf.tensor1d([3, 0]), tf.tensor2d([[4]])], 1);
  close(t, await norm.data(), [5], 1e-6);
  close(t, await gradients[0].data(), [0.6, 0], 1e-6);
  close(t, await gradients[1].data(), [0.8], 1e-6);
  const small = clipGradientNorm([tf.tensor1d([0.3, 0.4])], 1);
  t.deepEqual(await small.gradients[0].data(), Float32Array.of(0.3, 0.4));
  const zero = clipGradientNorm([tf.zeros([2])], 1);
  t.deepEqual(await zero.gradients[0].data(), Float32Array.of(0, 0));
});

interface Values { w: number[]; b: number[] }
interface Fixture {
  maxNorm: number;
  groups: Record<keyof Values, { factor: number; weightDecay: number; shape: number[] }>;
  start: Values;
  steps: (Values & { gradients: Values; clipped: Values; norm: number; learningRate: number })[];
  first: Values;
  second: Values;
}
const fixture = JSON.parse(readFileSync('test/fixtures/optimizer.json', 'utf8')) as Fixture;
const keys = ['w', 'b'] as const;

for (const backend of backends) {
  test.serial(`${backend}: 20 clipped steps equal torch.optim.AdamW's (torch 2.15.0)`, async (t) => {
    await useBackend(backend);
    const { groups, start, maxNorm } = fixture;
    const state = Object.fromEntries(keys.map((k) => [k, { parameter: tf.tensor(start[k], groups[k].shape), first: tf.zeros(groups[k].shape), second: tf.zeros(groups[k].shape) }]));
    for (const [i, step] of fixture.steps.entries()) {
      const { gradients, norm } = clipGradientNorm(keys.map((k) => tf.tensor(step.gradients[k], groups[k].shape)), maxNorm);
      close(t, await norm.data(), [step.norm], 1e-6 * step.norm, `step ${i}: norm`);
      const { correction1, correction2 } = adamWCorrections(i + 1);
      for (const [j, k] of keys.entries()) {
        close(t, await gradients[j].data(), step.clipped[k], 1e-7, `step ${i}: clipped ${k}`);
        const options = { learningRate: tf.scalar(step.learningRate * groups[k].factor), correction1: tf.scalar(correction1), correction2: tf.scalar(correction2), weightDecay: groups[k].weightDecay };
        state[k] = adamW({ ...state[k], gradient: gradients[j] }, options);
        t.deepEqual(state[k].parameter.shape, groups[k].shape);
        close(t, await state[k].parameter.data(), step[k], 1e-6, `step ${i}: ${k}`);
      }
    }
    for (const k of keys) {
      close(t, await state[k].first.data(), fixture.first[k], 1e-8, `first moment of ${k}`);
      close(t, await state[k].second.data(), fixture.second[k], 1e-9, `second moment of ${k}`);
    }
  });
}

test("the schedule's rates are those of torch's StepLR (torch 2.15.0)", (t) => {
  for (const [i, { learningRate }] of fixture.steps.entries()) {
    const factor = learningRateFactor(i, { steps: 20, warmUpSteps: 0, schedule: 'step', dropAt: 0.7, dropFactor: 0.1 });
    t.true(Math.abs(factor * 1e-2 - learningRate) < 1e-9, `step ${i}`);
  }
});

test('schedules by hand: a straight rise, then constant, one drop, or half a cosine', (t) => {
  const course = (schedule: 'constant' | 'step' | 'cosine'): number[] => Array.from({ length: 11 }, (_, step) => Number(learningRateFactor(step, { steps: 11, warmUpSteps: 3, schedule, dropAt: 0.75, dropFactor: 0.5 }).toFixed(4)));
  t.deepEqual(course('constant'), [0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 1, 1, 1]);
  t.deepEqual(course('step'), [0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 0.5, 0.5, 0.5]);
  t.deepEqual(course('cosine'), [0.25, 0.5, 0.75, 1, 0.9619, 0.8536, 0.6913, 0.5, 0.3087, 0.1464, 0.0381]);
});

test.serial('an update leaks no tensors', async (t) => {
  await useBackend('wasm');
  const inputs = [tf.ones([3]), tf.ones([3]), tf.zeros([3]), tf.zeros([3]), tf.scalar(1), tf.scalar(0.1), tf.scalar(0.1)] as Tensor[];
  const before = tf.memory().numTensors;
  const [parameter, gradient, first, second, learningRate, correction1, correction2] = inputs;
  tf.dispose(tf.tidy(() => adamW({ parameter, gradient: clipGradientNorm([gradient], 0.1).gradients[0], first, second }, { learningRate, correction1, correction2, weightDecay: 0.1 })));
  t.is(tf.memory().numTensors, before);
});

function close(t: ExecutionContext, actual: ArrayLike<number>, wanted: readonly number[], tolerance: number, what = ''): void {
  t.is(actual.length, wanted.length);
  wanted.forEach((v, i) => t.true(Math.abs(actual[i] - v) <= tolerance, `${what} [${i}]: ${actual[i]}, wanted ${v}`));
}
