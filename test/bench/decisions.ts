import { cxcywhToXyxy } from '../../src/detection/boxes.js';
import { generalizedIoU } from '../../src/detection/giou.js';
import { matchingCost, validity, type Targets } from '../../src/detection/matcher.js';
import { highestOverlap, matchingScore } from '../../src/distillation/foreground-query-matching.js';
import { tf, type Tensor } from '../../src/tensor/tf.js';
import type { LossParts } from '../../src/training/detection-task.js';

/** What a step decides, and from which numbers, as an engine gives it. Flat; its shapes are those of {@link DecisionShapes}. */
export interface Decisions {
  /** Cost of each query for each box [L * B, Q, G], and who is matched [L * B, G, Q]. */
  cost: Float32Array;
  assignment: Float32Array;
  /** With a teacher: GIoU - tau G_i of Eq. 2.34, 0 for padding [B, G, Q]; who learns [B, Q]; what Eq. 2.35 maximizes and the partners [B, Q, Qt]. */
  margin?: Float32Array;
  kept?: Float32Array;
  score?: Float32Array;
  partner?: Float32Array;
}

/** Sizes of {@link Decisions}. */
export interface DecisionShapes { layers: number; batch: number; boxes: number; queries: number; others: number }

const NAMES = ['cost', 'assignment', 'margin', 'kept', 'score', 'partner'] as const;
const PREFIX = 'decision/';

/** The decisions of a DETR's step as outputs, computed by the functions that the step itself uses (a compiled step computes nothing twice). @param tau of Eq. 2.34 */
export function decisionOutputs({ student, detection, taught, distillation }: LossParts, targets: Targets, tau: number): Record<string, Tensor> {
  const outputs: Record<string, Tensor> = { cost: matchingCost(student.logits, student.boxes, targets), assignment: detection.assignment };
  if (taught && distillation) {
    const last = (boxes: Tensor): Tensor => tf.reshape(tf.slice(boxes, [boxes.shape[0] - 1], [1]), boxes.shape.slice(1));
    const ours = last(student.boxes), giou = generalizedIoU(cxcywhToXyxy(targets.boxes), cxcywhToXyxy(ours));
    Object.assign(outputs, { margin: tf.mul(tf.sub(giou, tf.mul(highestOverlap(giou), tau)), tf.expandDims(validity(targets), -1)), score: matchingScore(ours, last(taught.boxes)), ...distillation.matching });
  }
  return Object.fromEntries(Object.entries(outputs).map(([name, t]) => [PREFIX + name, t]));
}

/** {@link Decisions} among a step's outputs, copied. */
export const decisionsOf = (outputs: Record<string, ArrayLike<number>>): Decisions =>
  Object.fromEntries(NAMES.flatMap((name) => (PREFIX + name in outputs ? [[name, Float32Array.from(outputs[PREFIX + name])]] : []))) as unknown as Decisions;

/** How decisions of one kind differ between two engines. */
export interface Flips {
  /** Decisions that there are. */
  of: number;
  flips: number;
  /**
   * Largest loss, by the first engine's own numbers, of deciding as the second does: 0 for an exact tie. What separates the two choices.
   */
  gap: number;
  /** Flips that the difference of the engines' numbers does not explain: were there any, one of the two would have decided wrongly. */
  unexplained: number;
}

/** Rounding of the sums that are compared, over their size. */
const ROUNDING = 1e-6;

/** Adds one decision: what the second engine's choice loses by the first's numbers, and by how much the numbers themselves differ. */
function add(flips: Flips, gap: number, numbersDiffer: number, size: number): void {
  flips.flips++;
  flips.gap = Math.max(flips.gap, gap);
  if (gap > numbersDiffer + ROUNDING * size) flips.unexplained++;
}

/** Matchings, one for each image and decoder layer, that differ. Where both are exact, the second's costs no more by the first's numbers than the numbers of the two choices differ. */
export function assignmentFlips(a: Decisions, b: Decisions, { layers, batch, boxes, queries }: DecisionShapes): Flips {
  const flips: Flips = { of: layers * batch, flips: 0, gap: 0, unexplained: 0 };
  for (let p = 0; p < layers * batch; p++) {
    let gap = 0, numbersDiffer = 0, size = 0, isOther = false;
    for (let g = 0; g < boxes; g++) {
      for (let q = 0; q < queries; q++) {
        const at = (p * boxes + g) * queries + q, cost = (p * queries + q) * boxes + g, chosen = b.assignment[at] - a.assignment[at];
        if (chosen === 0) continue;
        isOther = true;
        gap += chosen * a.cost[cost];
        numbersDiffer += Math.abs(a.cost[cost] - b.cost[cost]);
        size += Math.abs(a.cost[cost]);
      }
    }
    if (isOther) add(flips, gap, numbersDiffer, size);
  }
  return flips;
}

/** Queries that only one engine lets learn (Eq. 2.34): of an object's queries, one lies on either side of the threshold. */
export function selectionFlips(a: Decisions, b: Decisions, { batch, boxes, queries }: DecisionShapes): Flips {
  const flips: Flips = { of: batch * queries, flips: 0, gap: 0, unexplained: 0 };
  for (let i = 0; i < batch * queries; i++) {
    if (a.kept![i] === b.kept![i]) continue;
    const n = Math.floor(i / queries), q = i % queries;
    const margins = Array.from({ length: boxes }, (_, g) => (n * boxes + g) * queries + q).filter((at) => a.margin![at] > 0 !== b.margin![at] > 0);
    const gaps = margins.map((at) => Math.abs(a.margin![at])), differences = margins.map((at) => Math.abs(a.margin![at] - b.margin![at]));
    add(flips, Math.min(...gaps), margins.length > 0 ? Math.max(...differences) : -1, 1);
  }
  return flips;
}

/** Queries that learn on both engines, from different queries of the teacher (Eq. 2.35). */
export function partnerFlips(a: Decisions, b: Decisions, { batch, queries, others }: DecisionShapes): Flips {
  const flips: Flips = { of: 0, flips: 0, gap: 0, unexplained: 0 };
  for (let i = 0; i < batch * queries; i++) {
    if (a.kept![i] === 0 || b.kept![i] === 0) continue;
    flips.of++;
    const [first, second] = [a, b].map(({ partner }) => partner!.subarray(i * others, (i + 1) * others).indexOf(1));
    if (first === second) continue;
    const at = (k: number): number => i * others + k, differs = (k: number): number => Math.abs(a.score![at(k)] - b.score![at(k)]);
    add(flips, a.score![at(first)] - a.score![at(second)], differs(first) + differs(second), Math.abs(a.score![at(first)]));
  }
  return flips;
}
