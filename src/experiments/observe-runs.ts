import { existsSync } from 'node:fs';
import path from 'node:path';
import { UserError } from '../errors.js';
import { limitedDataset } from '../data/limited-dataset.js';
import { openMiniVoc } from '../data/minivoc/minivoc.js';
import { realValued, type Quantization } from '../models/forward.js';
import { quantizationPolicy } from '../models/quantization-policy.js';
import { FAMILIES, modelOf, type Family, type ModelScale } from '../models/settings.js';
import { parsePrecision } from '../quantizer/precision.js';
import { loadCheckpoint } from '../training/checkpoint.js';
import { runFolder } from '../training/run-folder.js';
import type { RunSummary } from '../training/run-record.js';
import { observeRun, writeObservations } from './observations.js';

/** Artefacts that need observations. */
const OBSERVED = ['figure-2.8', 'figure-2.9'];
/** Images of the test split that are looked at. */
const IMAGES = 200;
const FILE = 'observations.json';

/** Whether an experiment's figure is drawn from observations of its runs. */
export const needsObservations = ({ artefact }: { artefact: string }): boolean => OBSERVED.includes(artefact);

/**
 * Observes those finished runs that answer Fig. 2.8 or 2.9 and have not been observed, and writes observations.json into their folders.
 * @param root folder of the run folders; default `.runs`
 * @returns the files written
 * @throws UserError when a run's checkpoint is missing or damaged, or its file can't be written
 */
export async function observeRuns(summaries: readonly RunSummary[], root?: string): Promise<string[]> {
  const files: string[] = [];
  for (const summary of summaries.filter(({ artefact }) => artefact.some((name) => OBSERVED.includes(name)))) {
    const folder = runFolder(summary.id, root);
    if (existsSync(path.join(folder, FILE))) continue;
    const checkpoint = loadCheckpoint(folder, summary.id)?.checkpoint;
    if (!checkpoint) throw new UserError(`${folder} has no checkpoint to observe: delete the folder to train again`);
    const settings = modelOf(summary.scale as ModelScale, familyOf(summary));
    const test = limitedDataset(openMiniVoc({ size: settings.imageSize as 64, split: 'test' }), IMAGES);
    const parameters = { ...checkpoint.parameters, ...checkpoint.buffers };
    files.push(writeObservations(folder, await observeRun(summary, { parameters, settings, quantization: quantizationOfRun(summary) }, test)));
  }
  return files;
}

function familyOf({ model, id }: RunSummary): Family {
  const family = FAMILIES.find((name) => name === model);
  if (!family) throw new UserError(`run ${id} has model '${model}', which can't be observed: choose runs of ${FAMILIES.join(' or ')}`);
  return family;
}

/** The precision of each module of a finished run. */
function quantizationOfRun({ bits, preset, groups }: RunSummary): Quantization {
  return bits === '32-32-32' ? realValued : quantizationPolicy({ precision: parsePrecision(bits), preset, groups });
}
