import { readFileSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { useBackend } from '../../src/tensor/backend.js';
import { compileStep, type NamedTensors } from '../../src/tensor/compile-step.js';
import { toTensors, type ParameterValues } from '../../src/tensor/parameters.js';
import { tf, type Tensor } from '../../src/tensor/tf.js';
import { adamWCorrections } from '../../src/tensor/adamw-corrections.js';
import { optimizerStep, type PackedGroup } from '../../src/training/optimizer-step.js';
import { pack, packLayout, unpack, unpackTensors, type GroupLayout } from '../../src/training/parameter-groups.js';

interface Values { w: number[]; b: number[] }
interface Fixture { maxNorm: number; start: Values; steps: (Values & { gradients: Values; norm: number; learningRate: number })[] }
const fixture = JSON.parse(readFileSync('test/fixtures/optimizer.json', 'utf8')) as Fixture;

/** The fixture's two groups under names that make them ours: a weight that decays, and a quantizer's offset that does not and is ten times slower. */
const W = 'linear.weight', B = 'linear.input_quantizer.offset';
const values = ({ w, b }: Values): ParameterValues => ({ [W]: { shape: [3, 4], data: Float32Array.from(w) }, [B]: { shape: [5], data: Float32Array.from(b) } });
const layouts = packLayout(values(fixture.start), { backboneFactor: 1, quantizerFactor: 0.1, weightDecay: 0.1 });

function close(t: ExecutionContext, actual: ArrayLike<number>, wanted: readonly number[], tolerance: number, what: string): void {
  t.is(actual.length, wanted.length);
  wanted.forEach((v, i) => t.true(Math.abs(actual[i] - v) <= tolerance, `${what} [${i}]: ${actual[i]}, wanted ${v}`));
}

test.serial('packed and compiled: 20 steps equal torch.optim.AdamW with two groups (torch 2.15.0), and a run repeats bit for bit', async (t) => {
  await useBackend('cpu');
  const state: ParameterValues = {};
  layouts.forEach((layout, g) => {
    state[`parameter/${g}`] = { shape: [layout.size], data: pack(layout, values(fixture.start)) };
    for (const moment of ['first', 'second']) state[`${moment}/${g}`] = { shape: [layout.size], data: new Float32Array(layout.size) };
  });
  const step = (s: NamedTensors, { learningRate, correction1, correction2, ...gradients }: NamedTensors) => {
    const groups = layouts.map((_, g) => ({ parameter: s[`parameter/${g}`], first: s[`first/${g}`], second: s[`second/${g}`] }));
    const { groups: next, norm } = optimizerStep(layouts, gradients, groups, { clipNorm: fixture.maxNorm, learningRate, correction1, correction2 });
    const entries = next.flatMap((group, g) => Object.entries(group).map(([key, tensor]) => [`${key}/${g}`, tensor as Tensor] as const));
    return { state: Object.fromEntries(entries), outputs: { norm } };
  };
  const scalar = { shape: [], dtype: 'float32' } as const;
  const inputs = { learningRate: scalar, correction1: scalar, correction2: scalar, [W]: { shape: [3, 4], dtype: 'float32' }, [B]: { shape: [5], dtype: 'float32' } } as const;
  const compiled = await compileStep(step, { state, inputs, threads: 1 });
  let first: ParameterValues | undefined;
  for (const round of [1, 2]) {
    compiled.writeState(state);
    for (const [i, { gradients, norm, learningRate, w, b }] of fixture.steps.entries()) {
      const { correction1, correction2 } = adamWCorrections(i + 1);
      const outputs = await compiled.run({ learningRate: Float32Array.of(learningRate), correction1: Float32Array.of(correction1), correction2: Float32Array.of(correction2), [W]: Float32Array.from(gradients.w), [B]: Float32Array.from(gradients.b) });
      close(t, outputs.norm, [norm], 1e-6 * norm, `round ${round}, step ${i}: norm`);
      const now = (await compiled.readState());
      const parameters: ParameterValues = Object.assign({}, ...layouts.map((layout, g) => unpack(layout, now[`parameter/${g}`].data)));
      close(t, parameters[W].data, w, 1e-6, `round ${round}, step ${i}: w`);
      close(t, parameters[B].data, b, 1e-6, `round ${round}, step ${i}: b`);
    }
    if (first === undefined) first = (await compiled.readState());
    else t.deepEqual((await compiled.readState()), first);
  }
  await compiled.dispose();
});

test.serial('a quantizer scale stops at its minimum', async (t) => {
  await useBackend('wasm');
  const [layout] = packLayout({ 'a.weight_quantizer.scale': { shape: [2] } }, { backboneFactor: 1, quantizerFactor: 1, weightDecay: 0 });
  const group: PackedGroup = { parameter: tf.tensor1d([1e-3, 1]), first: tf.zeros([2]), second: tf.zeros([2]) };
  const scalars = { learningRate: tf.scalar(0.1), correction1: tf.scalar(0.1), correction2: tf.scalar(0.001) };
  const { groups } = optimizerStep([layout], { 'a.weight_quantizer.scale': tf.tensor1d([1, 1]) }, [group], { ...scalars, clipNorm: 10 });
  close(t, await groups[0].parameter.data(), [1e-8, 0.9], 1e-7, 'scale');
  t.true((await groups[0].parameter.data())[0] > 0);
});

test.serial('training on packed parameters finds the minimum of a quadratic', async (t) => {
  await useBackend('wasm');
  const target: ParameterValues = { 'transformer.a.weight': { shape: [2, 2], data: Float32Array.of(1, -2, 3, -4) }, 'backbone.b.bias': { shape: [1], data: Float32Array.of(5) } };
  const groupLayouts: GroupLayout[] = packLayout(target, { backboneFactor: 1, quantizerFactor: 1, weightDecay: 0 });
  const wanted = toTensors(target);
  let groups: PackedGroup[] = groupLayouts.map(({ size }) => ({ parameter: tf.zeros([size]), first: tf.zeros([size]), second: tf.zeros([size]) }));
  for (let i = 1; i <= 200; i++) {
    groups = tf.tidy(() => {
      const parameters = Object.assign({}, ...groupLayouts.map((layout, g) => unpackTensors(layout, groups[g].parameter)));
      const gradients = Object.fromEntries(Object.keys(target).map((name) => [name, tf.grad((x) => tf.sum(tf.square(tf.sub(x, wanted[name]))))(parameters[name])]));
      const { correction1, correction2 } = adamWCorrections(i);
      return optimizerStep(groupLayouts, gradients, groups, { clipNorm: 100, learningRate: tf.scalar(0.2 * (1 - i / 201)), correction1: tf.scalar(correction1), correction2: tf.scalar(correction2) }).groups;
    });
  }
  for (const [g, layout] of groupLayouts.entries()) close(t, await groups[g].parameter.data(), [...pack(layout, target)], 0.05, layout.group.name);
});
