/** A training of 40 numbers in plain arithmetic, with the real run folder, log and checkpoints. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { RandomStream } from '../../src/tensor/random.js';
import { adamWCorrections } from '../../src/tensor/adamw-corrections.js';
import { loadCheckpoint, saveCheckpoint, type Checkpoint } from '../../src/training/checkpoint.js';
import { MetricsLog } from '../../src/training/metrics-log.js';
import { openRun, type RunIdentity } from '../../src/training/run-folder.js';

const SIZE = 40, IMAGES = 7;

export const identity: RunIdentity = {
  experiment: 'toy',
  settings: { steps: 12 },
  seed: 5,
  dataHash: 'd'.repeat(64),
  sourceHash: 'a'.repeat(64),
  lockHash: 'b'.repeat(64),
  engine: { name: 'toy', version: '1' },
};

export interface ToyOptions {
  steps: number;
  /** Steps between checkpoints. */
  interval: number;
  /** Changes what is restored: for negative controls. */
  sabotage?: (checkpoint: Checkpoint) => Checkpoint;
}

/** Trains to the end, from where the run's folder stands. @returns the run's folder and notes about damaged checkpoints */
export function toyRun(root: string, { steps, interval, sabotage = (c) => c }: ToyOptions): { folder: string; note?: string } {
  const { folder, description } = openRun(identity, 'toy', root);
  const { seed, id: runId } = description;
  const loaded = loadCheckpoint(folder, runId);
  const start = loaded && sabotage(loaded.checkpoint);
  const of = (first: number) => ({ shape: [SIZE], data: Float32Array.from({ length: SIZE }, () => first) });
  const parameter = start?.parameters.x.data ?? of(1).data, first = start?.firstMoments.x.data ?? of(0).data, second = start?.secondMoments.x.data ?? of(0).data;
  const mean = start?.buffers['running_mean'].data ?? of(0).data;
  let { step, positionInEpoch, epoch } = start?.counters ?? { step: 0, positionInEpoch: 0, epoch: 0 };
  const log = new MetricsLog(folder, start?.counters.metricsBytes ?? 0);
  while (step < steps) {
    const random = new RandomStream(seed, 1, step, positionInEpoch);
    const { correction1, correction2 } = adamWCorrections(step + 1);
    let loss = 0;
    for (let i = 0; i < SIZE; i++) {
      const gradient = parameter[i] + random.normal();
      loss += gradient * gradient;
      first[i] += (gradient - first[i]) * 0.1;
      second[i] = second[i] * 0.999 + gradient * gradient * 0.001;
      parameter[i] -= (0.05 / correction1) * (first[i] / (Math.sqrt(second[i] / correction2) + 1e-8));
      mean[i] = 0.9 * mean[i] + 0.1 * gradient;
    }
    step++;
    positionInEpoch += 2;
    if (positionInEpoch >= IMAGES) [epoch, positionInEpoch] = [epoch + 1, positionInEpoch - IMAGES];
    log.append({ step, epoch, loss });
    if (step % interval === 0 || step === steps) {
      log.sync();
      saveCheckpoint(folder, {
        runId,
        counters: { seed, step, epoch, positionInEpoch, metricsBytes: log.bytes },
        parameters: { x: { shape: [SIZE], data: parameter } },
        firstMoments: { x: { shape: [SIZE], data: first } },
        secondMoments: { x: { shape: [SIZE], data: second } },
        buffers: { running_mean: { shape: [SIZE], data: mean } },
      });
    }
  }
  log.close();
  return { folder, note: loaded?.note };
}

/** What a finished run left, as text: its log, and LAST with the hash of its last checkpoint. */
export function outcome(folder: string): { metrics: string; last: unknown } {
  const read = (file: string) => (existsSync(path.join(folder, file)) ? readFileSync(path.join(folder, file), 'utf8') : '');
  return { metrics: read('metrics.jsonl'), last: (JSON.parse(read('LAST')) as { checkpoints: unknown[] }).checkpoints[0] };
}
