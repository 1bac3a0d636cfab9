import { z } from 'zod';
import { UserError } from '../../errors.js';
import { parseStrictly } from '../../schema.js';
import { isQuantizerParameter } from '../../quantizer/scales.js';
import type { ArrayValue, ParameterValues } from '../../tensor/parameters.js';
import { writeParameters } from '../../tensor/parameter-file.js';
import { isAlignmentParameter } from '../distribution-alignment.js';
import { backboneParameterShapes, detectorParameterShapes } from '../initial-parameters.js';
import { checkDetectorSettings } from '../settings.js';
import { arrayHere, findLayout, shapeHere, shapeThere, type KernelLayout } from './kernel-layout.js';
import { emptyReport, harmlessReason, type KeyReport } from './key-report.js';
import { KNOWN_DETECTORS, recognizeModel, titleOf, type RecognizedModel } from './recognize-model.js';
import { transformersConfig } from './transformers-config.js';
import { readWeightArrays, type WeightArrays } from './weight-arrays.js';
import { findNaming, nameHere, unpackedNames, unpackedShapes, type Naming } from './weight-names.js';

/** Weights of a file, by the names and in the layouts of this project. */
export interface ImportedWeights {
  file: string;
  /** What the file is, in words: `safetensors, names of transformers`. */
  form: string;
  model: RecognizedModel;
  /** All that fit; with quantizers and alignments of this project's own files. */
  parameters: ParameterValues;
  report: KeyReport;
  /** Names of the classes, where the file or its config.json says them. */
  classNames?: string[];
  /** Bits that `qdetr train --export` noted, such as `4-4-8`. */
  bits?: string;
}

const TITLES: Readonly<Record<Naming, string>> = { detr: 'facebookresearch/detr', transformers: 'transformers', torchvision: 'torchvision' };
const SETTINGS_NOTE = 'settings', CLASSES_NOTE = 'classes';

const positive = () => z.number().int().positive().describe('a positive whole number');
const settingsSchema = z.object({
  family: z.enum(['detr', 'smca-detr']).describe('detr or smca-detr'),
  imageSize: positive(), modelWidth: positive(), heads: positive(), feedForward: positive(), encoderLayers: positive(), decoderLayers: positive(), queries: positive(), classes: positive(),
  backbone: z.object({
    stem: positive(), widths: z.array(positive()).min(1), blocks: z.array(positive()).min(1), strides: z.array(positive()).min(1),
    block: z.enum(['basic', 'bottleneck']).optional(), stemKernel: z.union([z.literal(3), z.literal(7)]).optional(), pool: z.boolean().optional(), activation: z.enum(['relu', 'rprelu']).optional(),
  }).strict(),
}).strict();

/** A note of a safetensors file as JSON. @throws UserError when it is damaged */
function note<S extends z.ZodTypeAny>({ file, notes }: WeightArrays, name: string, schema: S): z.output<S> | undefined {
  const text = notes.get(name);
  if (text === undefined) return undefined;
  const remedy = 'make the file again with npx qdetr weights convert', where = `${file}: note '${name}'`;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new UserError(`${where} is no JSON: ${remedy}`);
  }
  return parseStrictly(schema, value, where, remedy);
}

/**
 * Reads weights of a detector or a backbone from a safetensors file or PyTorch checkpoint, with the names of facebookresearch/detr, SMCA-DETR's
 * release, transformers, torchvision or this project, and says which model they are of. Keys that are missing, strange or of another shape are
 * reported, all of them: {@link loadWeights} refuses such files.
 * @param as the name of a model (`detr-r50`), where it is not to be found from the shapes
 * @throws UserError that names the file when it can't be read, is damaged, or is of no known model
 */
export function importWeights(given: string, as?: string): ImportedWeights {
  const read = readWeightArrays(given), { file, arrays, integers } = read;
  const found = findNaming([...arrays.keys()]);
  if (!found) {
    const some = [...arrays.keys()].slice(0, 3).map((name) => `'${name}'`).join(', ');
    throw new UserError(`${file} holds weights of no model that is known here (${arrays.size} arrays${some && `, such as ${some}`}): give DETR's of facebookresearch/detr or transformers, SMCA-DETR's, torchvision's ResNet or this project's own`);
  }
  const { naming, prefix } = found;
  const names = new Map([...arrays.keys()].filter((name) => name.startsWith(prefix)).map((name) => [nameHere(naming, name.slice(prefix.length)), name]));
  const layout = findLayout([...arrays.values()].map(({ shape }) => shape));
  const shapes = new Map([...names].map(([here, there]) => [here, shapeHere(arrays.get(there)!.shape, layout)]));
  const isOurs = layout === 'HWIO', config = naming === 'transformers' ? transformersConfig(file) : undefined;
  if (read.training.isDilated) throw new UserError(`${file} holds a detector with a dilated backbone (DC5, its args say 'dilation'), and no model here has one: take weights of detr-r50 or detr-r101`);
  const recorded = note(read, SETTINGS_NOTE, settingsSchema);
  const model = as !== undefined ? namedModel(as, shapes, isOurs) : recorded ? { kind: 'detector' as const, title: titleOf(recorded), settings: checkDetectorSettings(recorded) } : recognizeModel(file, shapes, !isOurs, config ?? read.training);
  const report = emptyReport();
  const parameters = matchKeys({ arrays, names, naming, layout, model, report });
  for (const name of [...arrays.keys()].filter((one) => !one.startsWith(prefix))) report.harmless.push({ name, why: 'beside the model (training state)' });
  for (const name of integers) sortOut(name, undefined, model, report);
  const classNames = note(read, CLASSES_NOTE, z.array(z.string())) ?? (model.kind === 'detector' ? config?.namesOf(model.settings.classes) : undefined);
  const words = `names of ${isOurs ? 'qdetr' : naming === 'detr' && model.kind === 'detector' && model.settings.family === 'smca-detr' ? 'SMCA-DETR' : TITLES[naming]}`;
  const bits = read.notes.get('bits');
  return { file, form: `${read.container}, ${words}`, model, parameters, report, ...(classNames && { classNames }), ...(bits !== undefined && { bits }) };
}

/** The model of a name, with the file's own numbers of classes and queries. @throws UserError for an unknown name */
function namedModel(as: string, shapes: ReadonlyMap<string, readonly number[]>, isOurs: boolean): RecognizedModel {
  const settings = Object.hasOwn(KNOWN_DETECTORS, as) ? KNOWN_DETECTORS[as] : undefined;
  if (!settings) throw new UserError(`--model ${as}: should be one of ${Object.keys(KNOWN_DETECTORS).join(', ')}`);
  const outputs = shapes.get('class_embed.weight')?.[0], queries = shapes.get('query_embed.weight')?.[0] ?? settings.queries;
  const spare = settings.family === 'detr' || !isOurs ? 1 : 0;
  return { kind: 'detector', title: as, settings: { ...settings, queries, classes: outputs === undefined ? settings.classes : outputs - spare } };
}

/** Puts an array that a model doesn't have where the report names it. */
function sortOut(name: string, shape: readonly number[] | undefined, model: RecognizedModel, report: KeyReport): void {
  const why = harmlessReason(name, model.kind);
  if (why) report.harmless.push({ name, why });
  else report.unexpected.push({ name, shape });
}

interface Matching {
  arrays: WeightArrays['arrays'];
  /** Names in the file by names here. */
  names: ReadonlyMap<string, string>;
  naming: Naming;
  layout: KernelLayout;
  model: RecognizedModel;
  report: KeyReport;
}

/** The parameters of a model out of a file's arrays; what doesn't fit goes into the report. */
function matchKeys({ arrays, names, naming, layout, model, report }: Matching): ParameterValues {
  const packed = model.kind === 'detector' ? detectorParameterShapes(model.settings) : backboneParameterShapes(model.backbone);
  const spareClass = model.kind === 'detector' && model.settings.family === 'smca-detr' && layout === 'OIHW';
  const wanted = unpackedShapes(naming, packed), fitting = new Map<string, ArrayValue>();
  for (const [name, shape] of Object.entries(wanted)) {
    const there = names.get(name), isSpare = spareClass && name.startsWith('class_embed.');
    const asked = isSpare ? [shape[0] + 1, ...shape.slice(1)] : shape;
    if (there === undefined) report.missing.push({ name, shape: asked });
    else if (shapeHere(arrays.get(there)!.shape, layout).join() !== asked.join()) report.misShaped.push({ name: there, found: arrays.get(there)!.shape, wanted: shapeThere(asked, layout) });
    else fitting.set(name, isSpare ? withoutLastRow(arrays.get(there)!) : arrayHere(arrays.get(there)!, layout));
  }
  if (spareClass) report.harmless.push({ name: "class_embed's last row", why: "no class: SMCA-DETR's release has one more than it uses" });
  const parameters: ParameterValues = {};
  for (const [name, shape] of Object.entries(packed)) {
    const parts = unpackedNames(naming, name).map((part) => fitting.get(part));
    if (parts.every((part) => part !== undefined)) parameters[name] = parts.length === 1 ? parts[0]! : { shape, data: joined(parts.map((part) => part!.data)) };
  }
  for (const [here, there] of names) {
    if (Object.hasOwn(wanted, here)) continue;
    if (layout === 'HWIO' && (isQuantizerParameter(here) || isAlignmentParameter(here))) parameters[here] = arrays.get(there)!;
    else sortOut(there, arrays.get(there)!.shape, model, report);
  }
  return parameters;
}

const withoutLastRow = ({ shape: [rows, ...others], data }: ArrayValue): ArrayValue => ({ shape: [rows - 1, ...others], data: data.subarray(0, (data.length / rows) * (rows - 1)) });

function joined(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Writes imported weights as this project's safetensors, with notes of their model and classes. @throws UserError when it can't be written */
export function writeImported(file: string, { model, parameters, form, classNames, bits }: ImportedWeights): void {
  writeParameters(file, parameters, {
    source: form,
    ...(model.kind === 'detector' && { [SETTINGS_NOTE]: JSON.stringify(model.settings) }),
    ...(classNames && { [CLASSES_NOTE]: JSON.stringify(classNames) }),
    ...(bits !== undefined && { bits }),
  });
}
