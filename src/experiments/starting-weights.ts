import { existsSync } from 'node:fs';
import path from 'node:path';
import { UserError } from '../errors.js';
import { initialDetectorParameters } from '../models/initial-parameters.js';
import { familyTitles, type DetectorSettings, type Family } from '../models/settings.js';
import { isSmcaParameter } from '../models/smca-detr.js';
import { isQuantizerParameter } from '../quantizer/scales.js';
import { readParameters } from '../tensor/parameter-file.js';
import type { ParameterValues } from '../tensor/parameters.js';
import { RandomStream } from '../tensor/random.js';
import { loadCheckpoint } from '../training/checkpoint.js';
import { listRuns, readRun, runFolder } from '../training/run-folder.js';
import { parameterHash } from './parameter-hash.js';
import { shippedWeights } from './shipped-weights.js';

/** Weights that a detector starts from. */
export interface StartingWeights {
  /** What the run's record says about them: a run's id, or the beginning of a hash. */
  id: string;
  parameters: ParameterValues;
  /** What is taken over from where, and what is not, for the reader. */
  note: string;
}

/** Weights as they are read, before it is known whether they fit a model. */
export interface ReadWeights {
  id: string;
  /** In words, for the reader. */
  origin: string;
  parameters: ParameterValues;
  /** What the record of a run says about its model. */
  model?: unknown;
}

/**
 * Weights to start a detector from: `shipped` (those that come with the project), the id of a run, or a safetensors file. Either all of
 * the detector or its backbone; quantizers are left out, since they are calibrated for the run's own bits.
 * @param from the user's word
 * @param name of what comes with the project, for `shipped` (shippedName)
 * @param root folder of the runs
 * @throws UserError when there is no such run or file, it is damaged, or it is of another model: with the first key that differs
 */
export function startingWeights(from: string, model: DetectorSettings, name: string, root?: string): StartingWeights {
  const weights = from === 'shipped' ? readShippedWeights(name) : readNamedWeights(from, { option: '--from', words: 'shipped' }, root);
  checkFamily(weights, model.family);
  return fitWeights(weights, model);
}

/**
 * The weights of a model out of those that were read, quantizers left out.
 * @throws UserError when they are of another model, with the first key that differs
 */
export function fitWeights({ id, origin, parameters }: ReadWeights, model: DetectorSettings): StartingWeights {
  const own = initialDetectorParameters(model, new RandomStream(0));
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

/** The family of a whole detector's weights, by their names; undefined for others. */
export function familyOfWeights(names: readonly string[]): Family | undefined {
  if (!names.some((name) => name.startsWith('transformer.decoder.'))) return undefined;
  return names.some(isSmcaParameter) ? 'smca-detr' : 'detr';
}

/** @throws UserError for the weights of a whole detector of the other family */
function checkFamily({ origin, parameters }: ReadWeights, wanted: Family): void {
  const family = familyOfWeights(Object.keys(parameters));
  if (family === undefined || family === wanted) return;
  const [theirs, ours] = [familyTitles[family], familyTitles[wanted]];
  throw new UserError(`${origin} holds the weights of ${theirs}, and this model is ${ours}: train ${theirs} with --model ${family}, or give weights of ${ours}`);
}

const anotherModel = (origin: string, what: string): UserError => new UserError(`${origin} holds another model: ${what}; give weights of this scale, or choose the scale that they were made at with --scale`);

function readShippedWeights(name: string): ReadWeights {
  const { id, parameters } = shippedWeights(name);
  return { id, origin: 'the weights that come with the project', parameters };
}

/**
 * The weights of a run or a safetensors file.
 * @param asked the option that names them, and the words that it knows beside runs and files, for errors
 * @throws UserError when there is no such run or file, or it is damaged
 */
export function readNamedWeights(from: string, { option, words }: { option: string; words: string }, root?: string): ReadWeights {
  if (/^[0-9a-f]{12}$/.test(from)) {
    const folder = runFolder(from, root);
    const run = readRun(folder);
    const loaded = run && loadCheckpoint(folder, from);
    if (!loaded) {
      const known = listRuns(root).map(({ id, experiment }) => `${id} (${experiment})`).join(', ');
      throw new UserError(`${option} ${from}: ${run ? `${folder} has no checkpoint yet` : `there is no such run in ${path.dirname(folder)}`}: ${known ? `choose one of ${known}` : 'train one first'}`);
    }
    const { parameters, buffers, counters } = loaded.checkpoint;
    return { id: from, origin: `run ${from} (${run.experiment}, step ${counters.step})`, parameters: { ...parameters, ...buffers }, model: run.settings.model };
  }
  if (!from.endsWith('.safetensors') && !existsSync(from)) throw new UserError(`${option} ${from}: should be ${words}, a run's id (12 hexadecimal digits) or a .safetensors file`);
  const { parameters } = readParameters(from);
  return { id: `weights ${parameterHash(parameters).slice(0, 12)}`, origin: from, parameters };
}
