import { readFileSync } from 'node:fs';
import type { DetectorSettings } from '../../src/models/settings.js';
import type { ParameterValues } from '../../src/tensor/parameters.js';
import { tf, type Tensor } from '../../src/tensor/tf.js';

/** An array as the fixtures hold it. */
export interface FixtureArray { shape: number[]; data: number[] }
type FixtureArrays = Record<string, FixtureArray>;

interface DetrRun {
  logits: FixtureArray; boxes: FixtureArray; memory: FixtureArray; total: number; terms: FixtureArrays; found: number[][][];
  dLogits: FixtureArray; dBoxes: FixtureArray; gradients: FixtureArrays; statistics: FixtureArrays;
}

interface DetrFixture {
  layerNorm: FixtureArrays;
  batchNorm: FixtureArrays;
  attention: { inputs: FixtureArrays; parameters: FixtureArrays; output: FixtureArray; weights: FixtureArray; gradients: FixtureArrays };
  positions: { height: number; width: number; channels: number; values: FixtureArray };
  detr: { settings: DetectorSettings; parameters: FixtureArrays; images: FixtureArray; labels: number[][]; targets: FixtureArray; frozen: DetrRun; live: DetrRun };
}

let fixture: DetrFixture | undefined;

/** test/fixtures/detr.json, which make-detr.py computes with PyTorch. */
export function readDetrFixture(): DetrFixture {
  fixture ??= JSON.parse(readFileSync('test/fixtures/detr.json', 'utf8')) as DetrFixture;
  return fixture;
}

interface SmcaFixture {
  focal: FixtureArrays;
  modulation: { height: number; width: number } & Record<'centres' | 'scales' | 'y' | 'dy' | 'dCentres' | 'dScales', FixtureArray>;
  smca: {
    settings: DetectorSettings; parameters: FixtureArrays; images: FixtureArray; labels: number[][]; targets: FixtureArray;
    logits: FixtureArray; boxes: FixtureArray; memory: FixtureArray; cost: FixtureArray; total: number; terms: FixtureArrays; found: number[][][];
    dLogits: FixtureArray; dBoxes: FixtureArray; gradients: FixtureArrays;
  };
  postProcess: { heightWidth: [number, number][]; labels: number[][] } & Record<'logits' | 'boxes' | 'scores' | 'xyxy', FixtureArray>;
}

let smcaFixture: SmcaFixture | undefined;

/** test/fixtures/smca.json, which make-smca.py computes with PyTorch. */
export function readSmcaFixture(): SmcaFixture {
  smcaFixture ??= JSON.parse(readFileSync('test/fixtures/smca.json', 'utf8')) as SmcaFixture;
  return smcaFixture;
}

/** The largest absolute value, at least 0.001 (some gradients are 0 but for rounding): what differences of a gradient are measured by. */
export const magnitude = ({ data }: FixtureArray): number => data.reduce((most, v) => Math.max(most, Math.abs(v)), 1e-3);

export const tensorOf = ({ shape, data }: FixtureArray): Tensor => tf.tensor(data, shape, 'float32');

export const valuesOf = (arrays: FixtureArrays): ParameterValues => Object.fromEntries(Object.entries(arrays).map(([name, { shape, data }]) => [name, { shape, data: Float32Array.from(data) }]));

/** The largest absolute difference, relative to the wanted values where they exceed 1; NaN counts as infinite, shapes must agree. */
export function worstDifference(got: Tensor, wanted: FixtureArray): number {
  if (got.shape.join() !== wanted.shape.join()) throw new Error(`shape [${got.shape.join()}] where [${wanted.shape.join()}] is wanted`);
  const values = got.dataSync();
  let worst = 0;
  wanted.data.forEach((w, i) => {
    const difference = Math.abs(values[i] - w) / Math.max(1, Math.abs(w));
    worst = Math.max(worst, Number.isNaN(difference) ? Infinity : difference);
  });
  return worst;
}
