import type { RunSummary } from '../../src/training/run-record.js';

/** A made-up run for tests; `ap50` and `unseen` are fractions. */
export function madeUpRun({ ap50 = 0.5, unseen, ...rest }: Partial<RunSummary> & { ap50?: number; unseen?: number } = {}): RunSummary {
  const evaluation = (split: 'test' | 'test-unseen', value: number) => ({ split, step: 10, epoch: 1, ap: value / 2, ap50: value, ap75: value / 3 });
  const run: RunSummary = {
    schemaVersion: 1, id: '', experiment: 'table-2.2', artefact: ['table-2.2'], method: 'Baseline', bits: '2-2-8', model: 'detr', scale: 'gpu',
    dataset: 'minivoc-128', seed: 1, tau: null, lambda: null,
    evaluations: [evaluation('test', ap50), ...(unseen === undefined ? [] : [evaluation('test-unseen', unseen)])],
    informationPlane: [], command: 'npx qdetr experiment table-2.2', engine: 'webgpu', machine: 'a test', seconds: 90, finishedAt: '2026-11-23T08:00:00Z',
    ...rest,
  };
  return { ...run, id: run.id || [run.method, run.bits, run.scale, run.seed, run.tau, run.lambda].join('/') };
}
