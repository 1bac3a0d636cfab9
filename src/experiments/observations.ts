import path from 'node:path';
import type { DetectionDataset, AnnotatedObject } from '../data/dataset.js';
import { codeUse, queryDistribution } from '../distillation/query-entropy.js';
import { writeFileAtomic } from '../files.js';
import { detector } from '../models/detector.js';
import type { Quantization } from '../models/forward.js';
import { normalizedPixels } from '../models/normalize-images.js';
import { featureSize, type DetectorSettings } from '../models/settings.js';
import { levels } from '../quantizer/levels.js';
import { isReal } from '../quantizer/precision.js';
import { useBackend } from '../tensor/backend.js';
import { toTensors, type ArrayValue, type ParameterValues } from '../tensor/parameters.js';
import { tf } from '../tensor/tf.js';
import { HISTOGRAM_BINS, observationSchema, type AttentionMaps, type ObservationRecord, type ObservedPicture, type QueryHistogram } from '../training/observation-record.js';
import type { RunSummary } from '../training/run-record.js';
import { parseStrictly } from '../schema.js';

/** A trained detector. */
export interface ObservedDetector {
  parameters: ParameterValues;
  settings: DetectorSettings;
  quantization: Quantization;
}

/** Half the width of a histogram, in deviations. */
const REACH = 4.5;
/** Digits that are kept. */
const DIGITS = 5;
const rounded = (value: number): number => Number(value.toPrecision(DIGITS));

/**
 * Distributions of the co-attention's queries in each decoder layer over some images (Fig. 2.8): as the quantizer sees them, real-valued
 * or not and, where there is a distribution alignment, before it. Runs eagerly.
 * @param count images, the first ones of `dataset`
 */
export async function observeQueries({ parameters, settings, quantization }: ObservedDetector, dataset: DetectionDataset, count = 32): Promise<QueryHistogram[]> {
  await useBackend();
  const heard = new Map<string, ArrayValue>();
  const tensors = toTensors(parameters);
  try {
    tf.tidy(() => {
      const images = imageTensor(dataset, Array.from({ length: Math.min(count, dataset.length) }, (_, i) => i));
      const observe = (name: string, x: tf.Tensor): void => {
        if (/multihead_attn\.q_(quantizer|(query_)?alignment)$/.test(name)) heard.set(name, { shape: [...x.shape], data: Float32Array.from(x.dataSync()) });
      };
      detector(tensors, images, settings, quantization, { observe });
    });
  } finally {
    tf.dispose(tensors);
  }
  const histograms = [...heard].map(([name, values]) => queryHistogram(name, values, parameters, quantization));
  return histograms.sort((a, b) => a.layer - b.layer || a.place.localeCompare(b.place));
}

function queryHistogram(name: string, values: ArrayValue, parameters: ParameterValues, quantization: Quantization): QueryHistogram {
  const { mean, variance, entropy } = queryDistribution(values.data);
  const deviation = Math.sqrt(variance);
  const extremes = values.data.reduce(([low, high], x) => [Math.min(low, x), Math.max(high, x)], [Infinity, -Infinity]);
  const low = Math.max(extremes[0], mean - REACH * deviation), high = Math.min(extremes[1], mean + REACH * deviation);
  const { counts } = queryDistribution(values.data, { low, high, count: HISTOGRAM_BINS }).histogram;
  const density = values.data.length * ((high - low) / HISTOGRAM_BINS || 1);
  const place = name.endsWith('_quantizer') ? 'quantizer' : 'alignment';
  const quantizer = place === 'quantizer' ? levelsOf(name, parameters, quantization) : null;
  const codeEntropy = quantizer && codeUse(values, quantizer.scale, quantizer.offset, quantizer).entropy;
  return {
    layer: Number(/layers\.(\d+)\./.exec(name)?.[1] ?? 0), place, low: rounded(low), high: rounded(high), densities: counts.map((n) => rounded(n / density)),
    mean: rounded(mean), deviation: rounded(deviation), count: values.data.length, gaussianEntropy: rounded(Math.max(entropy, -1e9)),
    codeEntropy: codeEntropy && rounded(codeEntropy), quantizer: quantizer && { ...quantizer, scale: quantizer.scale.map(rounded), offset: quantizer.offset.map(rounded) },
  };
}

/** The levels of an attention operand's quantizer; null where it is real-valued. */
function levelsOf(name: string, parameters: ParameterValues, quantization: Quantization): QueryHistogram['quantizer'] {
  const { attentionBits: bits } = quantization(name.replace(/\.q_quantizer$/, ''));
  const scale = parameters[`${name}.scale`];
  if (isReal(bits) || scale === undefined) return null;
  const offset = parameters[`${name}.offset`]?.data ?? new Float32Array(scale.data.length);
  return { bits, ...levels(bits), scale: [...scale.data], offset: [...offset] };
}

/**
 * Attention maps of the last decoder layer for the largest object of some images (Fig. 2.9). Of each image the query that detects the
 * object best is observed: the one with the largest sum of the class's probability and the box's intersection over union, for queries
 * of two models need not have the same slots. Runs eagerly.
 * @param indices which images of `dataset`; images without objects are left out
 */
export async function observeAttention({ parameters, settings, quantization }: ObservedDetector, dataset: DetectionDataset, indices: readonly number[]): Promise<{ attention: AttentionMaps[]; pictures: ObservedPicture[] }> {
  await useBackend();
  const tensors = toTensors(parameters), side = featureSize(settings);
  const output = tf.tidy(() => {
    const { logits, boxes, coAttention } = detector(tensors, imageTensor(dataset, indices), settings, quantization);
    const last = coAttention[coAttention.length - 1].weights;
    const final = (x: tf.Tensor): Float32Array => Float32Array.from(tf.slice(x, [x.shape[0] - 1, 0, 0, 0], [1, -1, -1, -1]).dataSync());
    return { logits: final(logits), boxes: final(boxes), weights: Float32Array.from(last.dataSync()) };
  });
  tf.dispose(tensors);
  const { queries, heads } = settings, tokens = side * side;
  const attention = indices.flatMap((index, b): AttentionMaps[] => {
    const { id, objects } = dataset.sample(index);
    const object = largest(objects);
    if (object === undefined) return [];
    const candidates = Array.from({ length: queries }, (_, query) => candidate(output, b * queries + query, object, settings));
    const query = candidates.reduce((best, { merit }, i) => (merit > candidates[best].merit ? i : best), 0);
    const map = (head: number): number[] => [...output.weights.subarray(((b * heads + head) * queries + query) * tokens, ((b * heads + head) * queries + query + 1) * tokens)];
    const { probability, box } = candidates[query];
    return [{
      picture: id, label: dataset.classes[object.label], truth: object.box, query, box: box.map(rounded) as AttentionMaps['box'], probability: rounded(probability),
      width: side, height: side, heads: Array.from({ length: heads }, (_, head) => map(head).map(rounded)),
    }];
  });
  const shown = new Set(attention.map(({ picture }) => picture));
  const samples = indices.map((index) => dataset.sample(index)).filter(({ id }) => shown.has(id));
  return { attention, pictures: samples.map(({ id, image }) => ({ id, size: dataset.size, rgb: Buffer.from(image).toString('base64') })) };
}

/** A query as a detection of an object: the probability of its class, its box in pixels, and both in one number. */
function candidate({ logits, boxes }: { logits: Float32Array; boxes: Float32Array }, row: number, { label, box: truth }: AnnotatedObject, { family, classes, imageSize }: DetectorSettings): { probability: number; box: number[]; merit: number } {
  const width = family === 'smca-detr' ? classes : classes + 1;
  const scores = logits.subarray(row * width, (row + 1) * width);
  const highest = Math.max(...scores);
  const probability = family === 'smca-detr' ? 1 / (1 + Math.exp(-scores[label])) : Math.exp(scores[label] - highest) / scores.reduce((sum, x) => sum + Math.exp(x - highest), 0);
  const [cx, cy, w, h] = boxes.subarray(4 * row, 4 * row + 4);
  const box = [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2].map((x) => x * imageSize);
  return { probability, box, merit: probability + intersectionOverUnion(box, truth) };
}

function intersectionOverUnion(a: readonly number[], b: readonly number[]): number {
  const overlap = Math.max(0, Math.min(a[2], b[2]) - Math.max(a[0], b[0])) * Math.max(0, Math.min(a[3], b[3]) - Math.max(a[1], b[1]));
  return overlap / (area(a) + area(b) - overlap);
}

const area = (box: readonly number[]): number => (box[2] - box[0]) * (box[3] - box[1]);

const largest = (objects: readonly AnnotatedObject[]): AnnotatedObject | undefined => objects.filter((object) => !object.difficult).sort((a, b) => area(b.box) - area(a.box))[0];

/**
 * Images that suit Fig. 2.9: the first of a data set whose largest object covers a tenth to a half of them.
 * @param within how many images are looked at
 */
export function imagesToObserve(dataset: DetectionDataset, count = 2, within = 200): number[] {
  const found: number[] = [];
  for (let index = 0; index < Math.min(within, dataset.length) && found.length < count; index++) {
    const object = largest(dataset.sample(index).objects);
    const share = object === undefined ? 0 : area(object.box) / dataset.size ** 2;
    if (share >= 0.1 && share <= 0.5) found.push(index);
  }
  return found;
}

/** Images as models read them, [B, size, size, 3]. */
function imageTensor(dataset: DetectionDataset, indices: readonly number[]): tf.Tensor {
  const pixels = 3 * dataset.size ** 2;
  const images = new Float32Array(indices.length * pixels);
  indices.forEach((index, i) => normalizedPixels(dataset.sample(index).image, images.subarray(i * pixels, (i + 1) * pixels)));
  return tf.tensor(images, [indices.length, dataset.size, dataset.size, 3]);
}

/**
 * Everything that Fig. 2.8 and 2.9 show of a finished run.
 * @param dataset MiniVOC's test split at the model's size
 */
export async function observeRun(summary: RunSummary, observed: ObservedDetector, dataset: DetectionDataset, { images = 32, pictures = 2 } = {}): Promise<ObservationRecord> {
  const { schemaVersion, id, artefact, method, bits, model, scale, seed, recipe, tau, lambda, scope, groups, finishedAt } = summary;
  const queries = await observeQueries(observed, dataset, images);
  const maps = await observeAttention(observed, dataset, imagesToObserve(dataset, pictures));
  return {
    schemaVersion, id, artefact, method, bits, model, scale, dataset: summary.dataset, seed, ...(recipe === undefined ? {} : { recipe }), tau, lambda,
    ...(scope === undefined ? {} : { scope }), ...(groups === undefined ? {} : { groups }), finishedAt, images: Math.min(images, dataset.length), queries, ...maps,
  };
}

/** Writes `observations.json` into a run's folder, and returns its path. @throws UserError when it can't be written or contradicts its schema */
export function writeObservations(folder: string, record: ObservationRecord): string {
  const file = path.join(folder, 'observations.json');
  writeFileAtomic(file, `${JSON.stringify(parseStrictly(observationSchema, record, file, 'observe the run again'))}\n`);
  return file;
}
