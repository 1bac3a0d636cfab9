import { UserError } from '../errors.js';
import { detectorParameterShapes, initialDetectorParameters } from '../models/initial-parameters.js';
import type { DetectorSettings } from '../models/settings.js';
import { loadWeights } from '../models/weights/load-weights.js';
import { isAlignmentParameter } from '../models/distribution-alignment.js';
import { isQuantizerParameter } from '../quantizer/scales.js';
import type { ParameterValues } from '../tensor/parameters.js';
import { RandomStream } from '../tensor/random.js';
import { parameterHash } from './parameter-hash.js';
import { readNamedWeights } from './starting-weights.js';

/** Weights that someone named: a run's, a file's of this project, or published ones. */
export interface NamedWeights {
  /** What records say about them. */
  id: string;
  /** In words, for the reader. */
  origin: string;
  parameters: ParameterValues;
  /** The detector that they are of; undefined for a backbone. */
  model: DetectorSettings | undefined;
}

/**
 * Reads the weights of a run (its id) or of a file: safetensors of this project or of transformers, .pth of facebookresearch/detr, SMCA-DETR or torchvision.
 * @throws UserError when there are none, or they are damaged or incomplete
 */
export function namedWeights(from: string, option: string, root?: string): NamedWeights {
  if (/^[0-9a-f]{12}$/.test(from)) {
    const { id, origin, parameters, model } = readNamedWeights(from, { option, words: 'a file of weights' }, root);
    return { id, origin, parameters, model: model as DetectorSettings | undefined };
  }
  const { file, form, model, parameters } = loadWeights(from);
  return { id: `weights ${parameterHash(parameters).slice(0, 12)}`, origin: `${file} (${form})`, parameters, model: model.kind === 'detector' ? model.settings : undefined };
}

const isHead = (name: string): boolean => name.startsWith('class_embed.');

/**
 * Which parameters of a detector named weights give, and what of it is to be said. A backbone's weights leave the transformer as it is; the class head is new where the
 * classes are others; RPReLU's start where it is ReLU (decision A21); quantizers and alignments are left out, since they are calibrated anew.
 * @throws UserError that names the first key that does not fit
 */
export function fittingWeights(model: DetectorSettings, weights: NamedWeights | undefined): { taken: ReadonlySet<string>; note: string } {
  if (!weights) return { taken: new Set(), note: 'random weights' };
  const own = detectorParameterShapes(model), names = Object.keys(own), plain = detectorParameterShapes({ ...model, backbone: { ...model.backbone, activation: 'relu' } });
  const given = weights.parameters, isBackbone = weights.model === undefined;
  const taken = new Set(names.filter((name) => given[name]?.shape.join() === own[name].join()));
  const wrong = names.find((name) => !taken.has(name) && !(isBackbone && !name.startsWith('backbone.')) && !isHead(name) && Object.hasOwn(plain, name));
  if (wrong !== undefined) throw new UserError(`${weights.origin} does not fit: '${wrong}' ${given[wrong] ? `has the shape [${given[wrong].shape.join(', ')}]` : 'is missing'}, this model's has [${own[wrong].join(', ')}]: give weights of this model, or of its backbone`);
  const strange = Object.keys(given).find((name) => !Object.hasOwn(own, name) && !isQuantizerParameter(name) && !isAlignmentParameter(name) && !name.startsWith('fc.'));
  if (strange !== undefined) throw new UserError(`${weights.origin} does not fit: this model has no '${strange}': give weights of this model, or of its backbone`);
  const hasNewHead = !isBackbone && names.some((name) => isHead(name) && !taken.has(name));
  const notes = [...(Object.keys(given).some(isQuantizerParameter) ? ['quantizers are left out, and calibrated anew'] : []), ...(isBackbone ? ['the backbone; the transformer starts from random weights'] : []), ...(hasNewHead ? ['the class head is new, for other classes'] : [])];
  return { taken, note: `${weights.origin}: ${taken.size} of ${names.length} parameters${notes.length > 0 ? ` (${notes.join('; ')})` : ''}` };
}

/** Parameters of a detector with those of named weights in place of random ones (see {@link fittingWeights}). @throws UserError that names the first key that does not fit */
export function startFrom(model: DetectorSettings, seed: number, weights: NamedWeights | undefined): ParameterValues {
  const { taken } = fittingWeights(model, weights), own = initialDetectorParameters(model, new RandomStream(seed, 1));
  return Object.fromEntries(Object.entries(own).map(([name, value]) => [name, taken.has(name) ? weights!.parameters[name] : value]));
}
