import { UserError } from '../../errors.js';
import type { DetectorSettings } from '../settings.js';
import { importWeights, type ImportedWeights } from './import-weights.js';
import { checkKeys } from './key-report.js';

/** Weights of a whole detector. */
export interface DetectorWeights extends ImportedWeights {
  settings: DetectorSettings;
}

/**
 * Reads weights that are whole: every key of their model, in its shape, and numbers only.
 * @param as the name of a model, where it is not to be found from the shapes
 * @throws UserError that names the file and the keys when it can't be read, is damaged or incomplete
 */
export function loadWeights(file: string, as?: string): ImportedWeights {
  const imported = importWeights(file, as);
  checkKeys(imported.file, imported.model.title, imported.report);
  checkNumbers(imported);
  return imported;
}

/** @throws UserError that names the first array with a value that is NaN or infinite */
export function checkNumbers({ file, parameters }: Pick<ImportedWeights, 'file' | 'parameters'>): void {
  const broken = Object.entries(parameters).find(([, { data }]) => !data.every(Number.isFinite));
  if (broken) throw new UserError(`${file}: '${broken[0]}' has values that are no numbers (NaN or infinite): get or make the file again`);
}

/** Reads a whole detector. @throws UserError as {@link loadWeights}, and for the weights of a classifier or a backbone */
export function loadDetectorWeights(file: string, as?: string): DetectorWeights {
  const imported = loadWeights(file, as), { model } = imported;
  if (model.kind === 'detector') return { ...imported, settings: model.settings };
  throw new UserError(`${imported.file} holds the weights of ${model.title}, a backbone or classifier, which detects nothing: give a detector's, or train one from it with npx qdetr train --from`);
}
