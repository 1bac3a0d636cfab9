import { existsSync } from 'node:fs';
import { COCO_CLASSES } from '../data/coco-classes.js';
import { VOC_CLASSES } from '../data/voc-classes.js';
import { UserError } from '../errors.js';
import { readText } from '../files.js';
import type { Quantization } from '../models/forward.js';
import { POLICY_PRESETS, quantizationPolicy, MODULE_GROUPS, type ModuleGroup, type PolicyPreset } from '../models/quantization-policy.js';
import { familyTitles, checkDetectorSettings, type DetectorSettings } from '../models/settings.js';
import { loadDetectorWeights } from '../models/weights/load-weights.js';
import { titleOf } from '../models/weights/recognize-model.js';
import { formatPrecision, parsePrecision, REAL, type Precision } from '../quantizer/precision.js';
import { isQuantizerParameter } from '../quantizer/scales.js';
import type { ParameterValues } from '../tensor/parameters.js';
import { readRun, runFolder } from '../training/run-folder.js';
import { readNamedWeights } from './starting-weights.js';

/** A detector that can be asked what it sees. */
export interface PredictionModel {
  /** Where the weights are from, in words. */
  origin: string;
  /** `detr-r50 (DETR)`. */
  title: string;
  settings: DetectorSettings;
  parameters: ParameterValues;
  quantization: Quantization;
  bits: string;
  /** K of them. */
  classes: readonly string[];
}

/** What a command line says beside the weights. */
export interface PredictionOptions {
  /** Bits to compute with; left out: the run's or file's own. */
  precision?: Precision;
  /** The name of a model, for files whose shapes don't say it. */
  model?: string;
  /** A file of class names. */
  classes?: string;
  /** Folder of the runs. */
  root?: string;
}

/** Weights with what their run or file says about them. */
interface Found extends Pick<PredictionModel, 'origin' | 'settings' | 'parameters'> {
  bits?: string;
  preset?: PolicyPreset;
  groups?: readonly ModuleGroup[];
  classNames?: readonly string[];
}

/**
 * The detector that a file of weights or a run's id names, in its own precision or another.
 * @throws UserError when there is no such file or run, it is damaged or holds no detector; when bits are asked for that it has no quantizers for
 */
export function predictionModel(weights: string, { precision, model, classes, root }: PredictionOptions): PredictionModel {
  const found = /^[0-9a-f]{12}$/.test(weights) && !existsSync(weights) ? ofRun(weights, root) : ofFile(weights, model);
  const { origin, settings, parameters, preset, groups } = found;
  const hasQuantizers = Object.keys(parameters).some(isQuantizerParameter);
  const wanted = precision ?? (found.bits === undefined ? REAL : parsePrecision(found.bits)), bits = formatPrecision(wanted), isLow = bits !== formatPrecision(REAL);
  if (isLow && !hasQuantizers) throw new UserError(`--bits ${bits}: ${origin} has no quantizers, so it is real-valued: leave --bits out, or train a quantized detector from it with npx qdetr train --bits ${bits}`);
  if (!isLow && hasQuantizers && precision === undefined) throw new UserError(`${origin} has quantizers and doesn't say for how many bits: say it with --bits, or --bits 32-32-32 for its real-valued weights`);
  return {
    origin, settings, parameters, bits, title: `${titleOf(settings)}${titleOf(settings) === familyTitles[settings.family] ? '' : ` (${familyTitles[settings.family]})`}`,
    quantization: quantizationPolicy({ precision: wanted, ...(preset && { preset }), ...(groups && { groups }) }),
    classes: classNames(settings.classes, classes, found.classNames),
  };
}

function ofFile(file: string, model: string | undefined): Found {
  const { settings, parameters, classNames: names, bits, form, file: read } = loadDetectorWeights(file, model);
  return { origin: `${read} (${form})`, settings, parameters, ...(bits !== undefined && { bits }), ...(names && { classNames: names }) };
}

function ofRun(id: string, root: string | undefined): Found {
  const { origin, parameters, model } = readNamedWeights(id, { option: '--weights', words: 'a file of weights' }, root);
  if (typeof model !== 'object' || model === null || !('modelWidth' in model)) throw new UserError(`--weights ${id}: ${origin} is no detector's: name the run of one`);
  const { bits, preset, groups, classes } = readRun(runFolder(id, root))!.settings;
  return {
    origin, parameters, settings: checkDetectorSettings(model as DetectorSettings), ...(typeof bits === 'string' && { bits }), ...(Array.isArray(classes) && { classNames: classes.map(String) }),
    ...(POLICY_PRESETS.includes(preset as PolicyPreset) && { preset: preset as PolicyPreset }),
    ...(Array.isArray(groups) && { groups: MODULE_GROUPS.filter((group) => groups.includes(group)) }),
  };
}

/**
 * Names of K classes: of a file, of the weights, COCO's where there are 91 and VOC's where there are 20, else numbers.
 * @throws UserError when a file has another number of them
 */
function classNames(count: number, file: string | undefined, own: readonly string[] | undefined): readonly string[] {
  if (file !== undefined) return namesOfFile(file, count);
  return [own, VOC_CLASSES, COCO_CLASSES].find((names) => names?.length === count) ?? Array.from({ length: count }, (_, i) => `class ${i}`);
}

/** Names of a text file with one in each line, or of a JSON list. */
function namesOfFile(file: string, count: number): string[] {
  const text = readText(file, 'give a text file with one class name a line').trim(), remedy = `give ${count} names, one a line or as a JSON list, in the order of the detector's outputs`;
  let names: unknown = text.split(/\r?\n/).map((line) => line.trim());
  if (text.startsWith('[')) {
    try {
      names = JSON.parse(text);
    } catch {
      throw new UserError(`--classes ${file}: is no JSON list: ${remedy}`);
    }
  }
  if (!Array.isArray(names) || !names.every((name): name is string => typeof name === 'string')) throw new UserError(`--classes ${file}: should be a list of names: ${remedy}`);
  if (names.length !== count) throw new UserError(`--classes ${file}: has ${names.length} names, and the detector ${count} classes: ${remedy}`);
  return names;
}
