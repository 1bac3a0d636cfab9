import type { ObservationRecord } from '../training/observation-record.js';
import type { Side } from './claim.js';

type Histogram = ObservationRecord['queries'][number];

/** Reach of the standardized axis, in deviations, and its cells. */
const REACH = 5, CELLS = 400;

/**
 * Wasserstein-1 distance of two distributions, each moved and scaled to mean 0 and deviation 1, so that only their shapes are compared: the area
 * between their cumulative distributions.
 */
export function shapeDistance(a: Histogram, b: Histogram): number {
  const width = (2 * REACH) / CELLS;
  let area = 0;
  for (let i = 0; i < CELLS; i++) {
    const z = -REACH + (i + 0.5) * width;
    area += Math.abs(shareBelow(a, z) - shareBelow(b, z)) * width;
  }
  return area;
}

/** The share of a histogram below mean + z deviations. */
function shareBelow({ low, high, densities, mean, deviation }: Histogram, z: number): number {
  const total = densities.reduce((sum, density) => sum + density, 0);
  const at = ((mean + z * deviation - low) / (high - low)) * densities.length;
  const whole = Math.min(densities.length, Math.max(0, Math.floor(at)));
  const below = densities.slice(0, whole).reduce((sum, density) => sum + density, 0) + (at > 0 && whole < densities.length ? (at - whole) * densities[whole] : 0);
  return total > 0 ? below / total : 0;
}

/** For each seed, how far a method's queries, as their quantizer sees them, are from the real-valued detector's: the mean over decoder layers. */
export function queryDistances(observations: readonly ObservationRecord[], method: string, bits: string): Side {
  const seen = (record: ObservationRecord): Histogram[] => record.queries.filter(({ place }) => place === 'quantizer');
  const pairs = observations.filter((record) => record.method === method && record.bits === bits).flatMap((record) => {
    const real = observations.find((other) => other.method === 'Real-valued' && other.seed === record.seed);
    const layers = real ? seen(record).flatMap((own) => seen(real).filter(({ layer }) => layer === own.layer).map((other) => shapeDistance(own, other))) : [];
    return real && layers.length > 0 ? [{ seed: record.seed, distance: layers.reduce((sum, d) => sum + d, 0) / layers.length, ids: [record.id, real.id] }] : [];
  });
  return { name: `queries of ${method} at ${bits}`, cells: [`${method} at ${bits}`, 'Real-valued'], values: new Map(pairs.map(({ seed, distance }) => [seed, distance])), steps: null, runs: pairs.flatMap(({ ids }) => ids) };
}
