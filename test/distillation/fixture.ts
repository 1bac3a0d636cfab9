import { readFileSync } from 'node:fs';
import type { Targets } from '../../src/detection/matcher.js';
import type { Attended } from '../../src/models/attention.js';
import type { DetectorOutput } from '../../src/models/detector-output.js';
import { tf, type Tensor } from '../../src/tensor/tf.js';
import { tensorOf, type FixtureArray } from '../models/fixture.js';

type Names = 'truth' | 'studentBoxes' | 'teacherBoxes' | 'studentLogits' | 'teacherLogits' | 'student' | 'teacher' | 'otherTeacher' | 'map' | 'studentWeights' | 'teacherWeights';

export interface DistillationFixture extends Record<Names, FixtureArray> {
  tau: number;
  alignment: Record<'head-width' | 'queries', Record<'q' | 'dy' | 'gamma' | 'beta' | 'y' | 'dQ' | 'dGamma' | 'dBeta', FixtureArray>>;
  labels: number[][];
  kept: number[][];
  /** Teacher query of each student query, -1 for those that don't learn. */
  partners: Record<'literal' | 'mutual' | 'one-to-one' | 'hungarian', number[][]>;
  losses: Record<string, { value: number; dStudent?: FixtureArray; dMap?: FixtureArray; dWeights?: FixtureArray }>;
}

let fixture: DistillationFixture | undefined;

/** test/fixtures/distillation.json, which make-distillation.py computes with PyTorch. */
export function readDistillationFixture(): DistillationFixture {
  fixture ??= JSON.parse(readFileSync('test/fixtures/distillation.json', 'utf8')) as DistillationFixture;
  return fixture;
}

/** The fixture's ground truth. */
export const fixtureTargets = (): Targets => ({ labels: tf.tensor2d(readDistillationFixture().labels, undefined, 'int32'), boxes: tensorOf(readDistillationFixture().truth) });

/** The layers of [L, ...]. */
const layersOf = (x: Tensor): Tensor[] => Array.from({ length: x.shape[0] }, (_, l) => tf.reshape(tf.slice(x, l, 1), x.shape.slice(1)));

/** Co-attentions with these features D [L, B, Q, C]; outputs are D too, unless told, and weights uniform over 3 tokens. */
export function attended(features: Tensor, { output = features, weights }: { output?: Tensor; weights?: Tensor } = {}): Attended[] {
  const outputs = layersOf(output), maps = weights && layersOf(weights);
  return layersOf(features).map((d, l) => ({ features: d, output: outputs[l], weights: maps ? maps[l] : tf.fill([d.shape[0], 1, d.shape[1]!, 3], 1 / 3) }));
}

/** A detector's output with these boxes [L, B, Q, 4] and features D [L, B, Q, C]. */
export const outputOf = (boxes: Tensor, features: Tensor, logits: Tensor = tf.zeros([...boxes.shape.slice(0, 3), 3])): DetectorOutput =>
  ({ logits, boxes, memory: tf.zeros([boxes.shape[1]!, 3, features.shape[3]!]), coAttention: attended(features), statistics: {} });

/** The partner of each kept query, -1 for the others. kept [B, Q], partner [B, Q, Qt] */
export function partnersOf({ kept, partner }: { kept: Tensor; partner: Tensor }): number[][] {
  const rows = partner.arraySync() as number[][][];
  return (kept.arraySync() as number[][]).map((image, b) => image.map((keep, j) => (keep === 1 ? rows[b][j].indexOf(1) : -1)));
}
