import { UserError } from '../errors.js';
import { nearestName } from '../schema.js';
import { cocoComparisonExperiment } from './coco-comparison.js';
import { controlsExperiment } from './controls.js';
import { figure211Experiment } from './figure-2.11.js';
import { figure212aExperiment } from './figure-2.12a.js';
import { figure212bExperiment } from './figure-2.12b.js';
import { figure28Experiment } from './figure-2.8.js';
import { figure29Experiment } from './figure-2.9.js';
import type { Experiment } from './grid.js';
import { startExperiment } from './start.js';
import { table22Experiment } from './table-2.2.js';
import { vocComparisonExperiment } from './voc-comparison.js';

/** All experiments, in the order of the book, then what the book does not have. */
export const EXPERIMENTS: readonly Experiment[] = [
  startExperiment, table22Experiment, figure28Experiment, figure29Experiment, figure211Experiment, figure212aExperiment, figure212bExperiment,
  vocComparisonExperiment, cocoComparisonExperiment, controlsExperiment,
];

/** An experiment by its name. @throws UserError with the nearest name for one that there is not */
export function experimentNamed(name: string): Experiment {
  const experiment = EXPERIMENTS.find((one) => one.name === name);
  if (experiment) return experiment;
  const names = EXPERIMENTS.map((one) => one.name);
  const near = nearestName(name, names);
  throw new UserError(`experiment '${name}' is unknown, ${near ? `did you mean '${near}'?` : `there are ${names.join(', ')}:`} 'npx qdetr experiment --list' says what each answers`);
}
