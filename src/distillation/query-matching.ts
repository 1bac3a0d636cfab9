import { match, type Targets } from '../detection/matcher.js';
import { lastLayer } from '../models/detector-output.js';
import { withoutGradient } from '../tensor/named-kernel.js';
import { tf, type Tensor } from '../tensor/tf.js';
import { foregroundQueryMatching, matchingScore, oneHotOfHighest, selectForeground, teacherPartner, type QueryMatching } from './foreground-query-matching.js';
import type { DistillationSettings } from './settings.js';

/** What is matched: the logits and boxes of a detector's last layer, or more layers before it. */
export interface Predictions {
  /** [L, B, Q, K + 1]; SMCA-DETR [L, B, Q, K]. */
  logits: Tensor;
  /** `cxcywh` [L, B, Q, 4]. */
  boxes: Tensor;
}

/** A detection matching of ground truth with queries, a family's own (detectionMatcher): [L * B, G, Q], one-hot rows, zero rows for padding. */
export type DetectionMatcher = (logits: Tensor, boxes: Tensor, targets: Targets) => Tensor;

const lastBoxes = ({ boxes }: Pick<Predictions, 'boxes'>): Tensor => tf.reshape(lastLayer(boxes), boxes.shape.slice(1));

/** Scores are within [-22, 2]: this much below them, a query that isn't kept comes after every one that is. */
const AFTER_THE_KEPT = 100;
const TAKEN = 1e4;

/**
 * One-to-one partners by Eq. 2.35's score, greedily: of the pairs that are left, the one with the highest score (the first of equal ones) is taken
 * and both leave, until no teacher query is left. Queries that aren't kept come last, and so take no partner from one that is.
 * @param score [B, Q, Qt]
 * @param kept [B, Q]
 * @returns [B, Q, Qt]: one-hot rows, zero rows for those that found none
 */
function greedyPartners(score: Tensor, kept: Tensor): Tensor {
  const [batch, queries, others] = score.shape as [number, number, number];
  let left = tf.sub(score, tf.mul(tf.sub(1, tf.expandDims(kept, -1)), AFTER_THE_KEPT));
  const pairs: Tensor[] = [];
  for (let n = 0; n < Math.min(queries, others); n++) {
    const row = tf.reshape(oneHotOfHighest(tf.max(left, -1)), [batch, queries, 1]);
    const column = oneHotOfHighest(tf.matMul(row, left, true, false)); // [B, 1, Qt]
    pairs.push(tf.mul(row, column));
    left = tf.sub(left, tf.mul(tf.add(row, column), TAKEN));
  }
  return tf.addN(pairs);
}

/** Keeps the queries that have a partner. partner [B, Q, Qt] with zero rows. */
const onlyPaired = (kept: Tensor, partner: Tensor): QueryMatching => ({ kept: tf.mul(kept, tf.sum(partner, -1)), partner });

/**
 * Pairs each student query that learns with a query of the teacher, by `settings.matching`; `settings.selection` and Eq. 2.34 say which ones
 * learn. Boxes are those of the last decoder layers (decision A17). Outside of the gradient.
 *
 * `literal`: foreground-aware query matching as the paper has it, Eq. 2.33-2.35. The others answer what its choice of a partner does:
 * `same-slot`: query j with query j; the student should begin as the teacher's kin, otherwise slots have nothing in common.
 * `one-to-one`: Eq. 2.35 without using a teacher query twice, greedily by score; kept queries that find none left are dropped.
 * `mutual`: kept where the partner's own best student query, of all, is this one.
 * `hungarian`: for object i, the student query that the detection matching gives it with the teacher query that it gives it; no other is kept.
 * @param matcher the detection matching of the family, for `hungarian`
 * @param teacher its logits are read for `hungarian` alone
 * @throws for `same-slot` where the numbers of queries differ
 */
export function matchQueries(student: Predictions, teacher: Pick<Predictions, 'boxes'> & Partial<Predictions>, targets: Targets, settings: Pick<DistillationSettings, 'tau' | 'tauZero' | 'matching' | 'selection'>, matcher: DetectionMatcher = match): QueryMatching {
  const ours = lastBoxes(student), theirs = lastBoxes(teacher);
  const [batch, queries] = ours.shape as [number, number], others = theirs.shape[1]!;
  const select = (): Tensor => (settings.selection === 'all' ? tf.ones([batch, queries]) : selectForeground(ours, targets, settings));
  switch (settings.matching) {
    case 'literal':
      return settings.selection === 'all' ? { kept: select(), partner: teacherPartner(ours, theirs) } : foregroundQueryMatching(ours, theirs, targets, settings);
    case 'same-slot':
      if (queries !== others) throw new Error(`same-slot matching needs as many queries in the teacher (${others}) as in the student (${queries})`);
      return { kept: select(), partner: tf.add(tf.expandDims(tf.eye(queries), 0), tf.zeros([batch, 1, 1])) };
    case 'one-to-one': {
      const kept = select();
      return onlyPaired(kept, withoutGradient((s, t) => greedyPartners(matchingScore(s, t), kept), [ours, theirs]));
    }
    case 'mutual': {
      const back = withoutGradient((s, t) => tf.transpose(oneHotOfHighest(tf.transpose(matchingScore(s, t), [0, 2, 1])), [0, 2, 1]), [ours, theirs]);
      return onlyPaired(select(), tf.mul(teacherPartner(ours, theirs), back));
    }
    case 'hungarian': {
      if (!teacher.logits) throw new Error('hungarian matching needs the logits of the teacher');
      const ofStudent = matcher(lastLayer(student.logits), lastLayer(student.boxes), targets), ofTeacher = matcher(lastLayer(teacher.logits), lastLayer(teacher.boxes), targets);
      const partner = tf.matMul(ofStudent, ofTeacher, true, false);
      return { kept: tf.sum(partner, -1), partner };
    }
  }
}
