import test from 'ava';
import { useBackend } from '../../src/tensor/backend.js';
import { compileStep } from '../../src/tensor/compile-step.js';
import type { ParameterValues } from '../../src/tensor/parameters.js';
import { tf } from '../../src/tensor/tf.js';
import { adamWCorrections } from '../../src/tensor/adamw-corrections.js';
import { isBuffer, packLayout } from '../../src/training/parameter-groups.js';
import { HYPERPARAMETERS, initialState, packState, trainingStep, unpackState, type ObjectiveFunction } from '../../src/training/training-step.js';

const values: ParameterValues = {
  'backbone.a.weight': { shape: [2], data: Float32Array.of(1, -2) },
  'head.b': { shape: [1, 1], data: Float32Array.of(3) },
  'backbone.n.running_mean': { shape: [1], data: Float32Array.of(10) },
};
const settings = { backboneFactor: 0.5, quantizerFactor: 1, weightDecay: 0, clipNorm: 5 };
const state = initialState(values, isBuffer);
const layouts = packLayout(state.parameters, settings);

/** Loss 2 a0 + b x; the buffer counts up by x. Gradients by hand: a [2, 0], b x. */
const objective: ObjectiveFunction = (p, { x }) => ({
  loss: tf.add(tf.mul(tf.reshape(tf.slice(p['backbone.a.weight'], [0], [1]), []), 2), tf.mul(tf.reshape(p['head.b'], []), x)),
  logged: { seen: tf.mul(x, 100) },
  buffers: { 'backbone.n.running_mean': tf.add(p['backbone.n.running_mean'], x) },
});

test.serial('by hand: loss, norm, the first steps of two groups, the buffer', async (t) => {
  await useBackend('wasm');
  const scalar = { shape: [], dtype: 'float32' } as const;
  const compiled = await compileStep(trainingStep(layouts, settings, objective), { state: packState(layouts, state), inputs: { x: scalar, ...Object.fromEntries(HYPERPARAMETERS.map((name) => [name, scalar])) }, threads: 1 });
  const run = (step: number, x: number) => {
    const { correction1, correction2 } = adamWCorrections(step);
    return compiled.run({ x: Float32Array.of(x), learningRate: Float32Array.of(0.1), correction1: Float32Array.of(correction1), correction2: Float32Array.of(correction2) });
  };
  const near = (got: ArrayLike<number>, wanted: number[], what: string): void => wanted.forEach((v, i) => t.true(Math.abs(got[i] - v) < 1e-5, `${what}[${i}]: ${got[i]}, wanted ${v}`));
  const outputs = await run(1, 4);
  near(outputs.loss, [2 * 1 + 3 * 4], 'loss before the step');
  near(outputs.gradientNorm, [Math.sqrt(4 + 16)], 'norm');
  near(outputs.seen, [400], 'logged');
  const after = unpackState(layouts, (await compiled.readState()));
  near(after.parameters['backbone.a.weight'].data, [1 - 0.05, -2], 'half the learning rate, against the sign; no gradient, no step');
  near(after.parameters['head.b'].data, [3 - 0.1], 'the learning rate');
  near(after.firstMoments['head.b'].data, [0.4], 'a tenth of the gradient');
  near(after.secondMoments['head.b'].data, [0.016], 'a thousandth of its square');
  near(after.buffers['backbone.n.running_mean'].data, [14], 'buffer');
  t.deepEqual(after.parameters['head.b'].shape, [1, 1]);

  near((await run(2, 30)).gradientNorm, [Math.sqrt(4 + 900)], 'norm before clipping');
  const clipped = unpackState(layouts, (await compiled.readState()));
  near(clipped.firstMoments['head.b'].data, [0.9 * 0.4 + 0.1 * 30 * (5 / Math.sqrt(904))], 'clipped to a norm of 5 over both groups');
  near(clipped.firstMoments['backbone.a.weight'].data, [0.9 * 0.2 + 0.1 * 2 * (5 / Math.sqrt(904)), 0], 'likewise');
  await compiled.dispose();
});

test('packed and unpacked, a state is itself; the start has moments of 0 and buffers apart', (t) => {
  t.deepEqual(unpackState(layouts, packState(layouts, state)), state);
  t.deepEqual(Object.keys(state.parameters), ['backbone.a.weight', 'head.b']);
  t.deepEqual(Object.keys(state.buffers), ['backbone.n.running_mean']);
  t.true(Object.values({ ...state.firstMoments, ...state.secondMoments }).every(({ data }) => data.every((v) => v === 0)));
  t.not(state.firstMoments['head.b'].data, state.secondMoments['head.b'].data);
});
