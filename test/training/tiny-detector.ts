/** A detector so small that a whole training takes a second: coloured squares on a dark ground, 16x16 pixels. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { batchAt } from '../../src/data/batches.js';
import type { DetectionDataset, Sample } from '../../src/data/dataset.js';
import { detector } from '../../src/models/detector.js';
import { initialDetectorParameters } from '../../src/models/initial-parameters.js';
import { normalizedPixels } from '../../src/models/normalize-images.js';
import { paperQuantization } from '../../src/models/quantization-policy.js';
import type { DetectorSettings } from '../../src/models/settings.js';
import { calibrate } from '../../src/quantizer/calibration.js';
import { parsePrecision } from '../../src/quantizer/precision.js';
import { useBackend } from '../../src/tensor/backend.js';
import { toTensors, type ParameterValues } from '../../src/tensor/parameters.js';
import { RandomStream } from '../../src/tensor/random.js';
import { tf } from '../../src/tensor/tf.js';
import { detectionTask } from '../../src/training/detection-task.js';
import { createDetectorEvaluator, type DetectorEvaluator } from '../../src/training/evaluate-detector.js';
import { resolveSettings, type TrainingSettings } from '../../src/training/settings.js';
import { train, type TrainOptions, type TrainingTask } from '../../src/training/train.js';

const SIZE = 16;
const COLOURS = [[255, 40, 40], [40, 255, 40], [40, 40, 255]];

/** Image i has i mod 3 squares; a square's colour is its class. */
export const squares: DetectionDataset = {
  length: 7, size: SIZE, classes: ['red', 'green', 'blue'], dataHash: '5'.repeat(64),
  sample: (index): Sample => {
    const random = new RandomStream(8, index);
    const image = Uint8Array.from({ length: SIZE * SIZE * 3 }, () => random.integer(60));
    const objects = Array.from({ length: index % 3 }, (_, i) => {
      const label = random.integer(3), side = 4 + random.integer(4), left = i * 8, top = random.integer(SIZE - side);
      for (let y = top; y < top + side; y++) for (let x = left; x < left + side; x++) image.set(COLOURS[label], (y * SIZE + x) * 3);
      return { label, box: [left, top, left + side, top + side] as [number, number, number, number], difficult: false, truncated: false, occluded: false, crowd: false };
    });
    return { id: String(index), image, objects };
  },
};

export const tinyModel: DetectorSettings = {
  family: 'detr', imageSize: SIZE, backbone: { stem: 4, widths: [4], blocks: [1], strides: [2] },
  modelWidth: 8, heads: 2, feedForward: 8, encoderLayers: 1, decoderLayers: 1, queries: 6, classes: 3,
};

export const RUN_ID = '0123456789ab';

/** 12 steps, evaluations after 5, 10 and 12, checkpoints after 4, 8 and 12. */
export const tinySettings = (changes: Partial<TrainingSettings> = {}): TrainingSettings =>
  resolveSettings('smoke', { steps: 12, batchSize: 2, evaluationInterval: 5, checkpointInterval: 4, learningRate: 0.01, quantizerFactor: 1, clipNorm: 10, ...changes });

/** Compiled once in a process, for all of its runs. */
const evaluators: Record<string, DetectorEvaluator> = {};

/** Training of the tiny detector at `bits`, by batch statistics. */
export function tinyTask(bits: string, settings = tinySettings()): TrainingTask {
  const precision = parsePrecision(bits), quantization = paperQuantization(precision);
  const evaluator = (evaluators[bits] ??= createDetectorEvaluator(tinyModel, quantization, 1));
  return detectionTask({
    model: tinyModel, quantization, dataset: squares, settings, batchStatistics: true,
    start: async () => {
      const values = initialDetectorParameters(tinyModel, new RandomStream(settings.seed, 1));
      return bits === '32-32-32' ? values : { ...values, ...(await quantizers(values, bits)) };
    },
    evaluate: async (parameters, step) => {
      const { ap, ap50 } = await evaluator.evaluate(parameters, squares);
      const { scores } = await evaluator.detect(parameters, squares);
      return [{ kind: 'evaluation', step, ap, ap50, score: scores.reduce((sum, s) => sum + s, 0) }];
    },
  });
}

async function quantizers(values: ParameterValues, bits: string): Promise<ParameterValues> {
  await useBackend('wasm');
  const parameters = toTensors(values);
  const batches = [0, 1].map((step) => batchAt(squares, { batchSize: 2, seed: 0, flip: false, step }).images);
  return calibrate(batches, (pixels, observe) => detector(parameters, tf.tensor4d(normalizedPixels(pixels), [2, SIZE, SIZE, 3]), tinyModel, undefined, { observe }), paperQuantization(parsePrecision(bits)));
}

/** Trains in a folder from where it stands to the end, on one thread. */
export async function tinyRun(folder: string, bits: string, options: Partial<TrainOptions> & { task?: Partial<TrainingTask> } = {}): Promise<ParameterValues> {
  const { task, settings = tinySettings(), ...others } = options;
  return train({ ...tinyTask(bits, settings), ...task }, { folder, runId: RUN_ID, settings, threads: 1, ...others });
}

/** What a finished run left: its log, and the hash of its last checkpoint (weights, moments, averages, counters). */
export function outcome(folder: string): { metrics: string; last: { step: number; sha256: string } } {
  const { checkpoints } = JSON.parse(readFileSync(path.join(folder, 'LAST'), 'utf8')) as { checkpoints: { step: number; sha256: string }[] };
  return { metrics: readFileSync(path.join(folder, 'metrics.jsonl'), 'utf8'), last: checkpoints[0] };
}
