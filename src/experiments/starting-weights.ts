import { existsSync } from 'node:fs';
import path from 'node:path';
import { UserError } from '../errors.js';
import { sha256 } from '../files.js';
import { initialDetectorParameters } from '../models/initial-parameters.js';
import { familyTitles, type DetectorSettings, type Family } from '../models/settings.js';
import { isSmcaParameter } from '../models/smca-detr.js';
import { isQuantizerParameter } from '../quantizer/scales.js';
import { readParameters } from '../tensor/parameter-file.js';
import type { ParameterValues } from '../tensor/parameters.js';
import { RandomStream } from '../tensor/random.js';
import { loadCheckpoint } from '../training/checkpoint.js';
import { listRuns, readRun, runFolder } from '../training/run-folder.js';
import { shippedWeights } from './shipped-weights.js';

/** Weights that a detector starts from. */
export interface StartingWeights {
  /** What the run's record says about them: a run's id, or the beginning of a hash. */
  id: string;
  parameters: ParameterValues;
  /** What is taken over from where, and what is not, for the reader. */
  note: string;
}

/**
 * Weights to start a detector from: `shipped` (those that come with the project), the id of a run, or a safetensors file. Either all of
 * the detector or its backbone; quantizers are left out, since they are calibrated for the run's own bits.
 * @param from the user's word
 * @param root folder of the runs
 * @throws UserError when there is no such run or file, it is damaged, or it is of another model: with the first key that differs
 */
export function startingWeights(from: string, model: DetectorSettings, scale: string, root?: string): StartingWeights {
  const { id, origin, parameters } = readWeights(from, scale, root);
  const own = initialDetectorParameters(model, new RandomStream(0));
  checkFamily(origin, Object.keys(parameters), model.family);
  const isBackbone = !Object.keys(parameters).some((name) => Object.hasOwn(own, name) && !name.startsWith('backbone.'));
  const wanted = Object.keys(own).filter((name) => !isBackbone || name.startsWith('backbone.'));
  for (const name of wanted) {
    const [there, here] = [parameters[name]?.shape, own[name].shape];
    if (there?.join() !== here.join()) throw anotherModel(origin, `'${name}' ${there ? `has the shape [${there.join(', ')}]` : 'is missing'}, this model's has [${here.join(', ')}]`);
  }
  const others = Object.keys(parameters).filter((name) => !Object.hasOwn(own, name));
  const strange = others.find((name) => !isQuantizerParameter(name) && !(isBackbone && name.startsWith('fc.')));
  if (strange !== undefined) throw anotherModel(origin, `'${strange}' is a name that this model has not`);
  const left = others.length > 0 ? `; ${others.length} others are left out (${others.some(isQuantizerParameter) ? 'quantizers, which are calibrated anew' : "the classifier's head"})` : '';
  return {
    id,
    parameters: Object.fromEntries(wanted.map((name) => [name, parameters[name]])),
    note: `starts from ${origin}: ${wanted.length} of ${Object.keys(own).length} parameters taken over${isBackbone ? ' (the backbone; the transformer starts from random weights)' : ''}${left}`,
  };
}

/** @throws UserError for the weights of a whole detector of the other family */
function checkFamily(origin: string, names: readonly string[], wanted: Family): void {
  if (!names.some((name) => name.startsWith('transformer.decoder.'))) return;
  const family: Family = names.some(isSmcaParameter) ? 'smca-detr' : 'detr';
  if (family === wanted) return;
  const [theirs, ours] = [familyTitles[family], familyTitles[wanted]];
  throw new UserError(`${origin} holds the weights of ${theirs}, and this model is ${ours}: train ${theirs} with --model ${family}, or give weights of ${ours}`);
}

const anotherModel = (origin: string, what: string): UserError => new UserError(`${origin} holds another model: ${what}; give weights of this scale, or choose the scale that they were made at with --scale`);

function readWeights(from: string, scale: string, root?: string): { id: string; origin: string; parameters: ParameterValues } {
  if (from === 'shipped') {
    const { id, parameters } = shippedWeights(scale);
    return { id, origin: 'the weights that come with the project', parameters };
  }
  if (/^[0-9a-f]{12}$/.test(from)) {
    const folder = runFolder(from, root);
    const run = readRun(folder);
    const loaded = run && loadCheckpoint(folder, from);
    if (!loaded) {
      const known = listRuns(root).map(({ id, experiment }) => `${id} (${experiment})`).join(', ');
      throw new UserError(`--from ${from}: ${run ? `${folder} has no checkpoint yet` : `there is no such run in ${path.dirname(folder)}`}: ${known ? `choose one of ${known}` : 'train one first'}`);
    }
    const { parameters, buffers, counters } = loaded.checkpoint;
    return { id: from, origin: `run ${from} (${run.experiment}, step ${counters.step})`, parameters: { ...parameters, ...buffers } };
  }
  if (!from.endsWith('.safetensors') && !existsSync(from)) throw new UserError(`--from ${from}: should be shipped, a run's id (12 hexadecimal digits) or a .safetensors file`);
  const { parameters } = readParameters(from);
  const hash = sha256(Object.keys(parameters).sort().map((name) => `${name} ${parameters[name].shape.join()} ${sha256(new Uint8Array(parameters[name].data.buffer, parameters[name].data.byteOffset, parameters[name].data.byteLength))}\n`).join(''));
  return { id: `weights ${hash.slice(0, 12)}`, origin: from, parameters };
}
