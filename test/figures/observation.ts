import { HISTOGRAM_BINS, type ObservationRecord, type QueryHistogram } from '../../src/training/observation-record.js';
import { madeUpRun } from './summaries.js';

function histogram(layer: number, place: QueryHistogram['place'], deviation: number): QueryHistogram {
  const low = -4 * deviation, width = (8 * deviation) / HISTOGRAM_BINS;
  const densities = Array.from({ length: HISTOGRAM_BINS }, (_, i) => Math.exp(-((low + (i + 0.5) * width) ** 2) / (2 * deviation ** 2)) / (deviation * Math.sqrt(2 * Math.PI)));
  return { layer, place, low, high: -low, densities, mean: 0, deviation, count: 960, gaussianEntropy: 0.5 * Math.log(2 * Math.PI * Math.E * deviation ** 2), codeEntropy: null, quantizer: null };
}

/** A made-up observation: two decoder layers, two heads, one object of class `cat`, a 2x2 feature map. */
export function madeUpObservation(changes: Partial<ObservationRecord> = {}): ObservationRecord {
  const { schemaVersion, id, method, bits, model, scale, dataset, seed, tau, lambda, finishedAt } = madeUpRun({ method: changes.method, bits: changes.bits });
  const isReal = bits === '32-32-32';
  const quantizer = { bits: 8, lowest: -128, highest: 127, scale: [0.05, 0.07], offset: [0.1, -0.1] };
  const queries = [0, 1].flatMap((layer): QueryHistogram[] => [
    ...(method === '+ DA' ? [histogram(layer, 'alignment', 3)] : []),
    { ...histogram(layer, 'quantizer', isReal ? 2.5 : 2), ...(isReal ? {} : { quantizer, codeEntropy: 7.25 }) },
  ]);
  const heads = isReal ? [[0.7, 0.1, 0.1, 0.1], [0.25, 0.25, 0.25, 0.25]] : [[0.4, 0.4, 0.1, 0.1], [0.25, 0.25, 0.25, 0.25]];
  return {
    schemaVersion, id, artefact: ['figure-2.8', 'figure-2.9'], method, bits, model, scale, dataset, seed, tau, lambda, finishedAt, images: 32, queries,
    attention: [{ picture: 'test-000000', label: 'cat', truth: [0, 0, 2, 2], query: 3, box: [0.1, 0.2, 1.9, 2.1], probability: 0.8, width: 2, height: 2, heads }],
    pictures: [{ id: 'test-000000', size: 4, rgb: Buffer.alloc(48, 120).toString('base64') }],
    ...changes,
  };
}
