import { checkTeacher } from '../distillation/teacher.js';
import { UserError } from '../errors.js';
import { isAlignmentParameter } from '../models/distribution-alignment.js';
import { checkDetectorSettings, modelOf, teacherModelOf, type DetectorSettings, type ModelScale } from '../models/settings.js';
import type { ParameterValues } from '../tensor/parameters.js';
import type { Cell } from './cell.js';
import type { RunTeacher } from './detector-run.js';
import { familyOfWeights, fitWeights, readNamedWeights, type ReadWeights } from './starting-weights.js';

/** What of a cell decides which teachers it can have. */
export type TaughtCell = Pick<Cell, 'scale' | 'family' | 'teacher' | 'distillation' | 'studentStart'>;

const SCALES: readonly ModelScale[] = ['smoke', 'minutes', 'gpu'];

/** Sizes that students who start from a teacher's transformer share with it. */
const TRANSFORMER_SIZES = ['modelWidth', 'heads', 'feedForward', 'encoderLayers', 'decoderLayers', 'queries', 'classes'] as const;

/**
 * The teacher that a run's id or a safetensors file names. A run says its sizes itself; a file has to have those of one of this kit's models, the
 * cell's own scale first: strides and heads are in no shape. It may be wider than the student with `feature: 'linear-map'`.
 * @throws UserError that begins with `--teacher`, where there is no such run or file, or it can't teach this cell's student
 */
export function namedTeacher(cell: TaughtCell, root?: string): RunTeacher {
  const { teacher: name, scale, family } = cell, option = `--teacher ${name}`;
  const weights = read(name, root);
  const sizes = sizesOf(option, weights);
  const model = recordedModel(weights) ?? candidates(scale, sizes.family).find((candidate) => fits(weights.parameters, candidate, sizes));
  checkTeacherOf(cell, model ?? { ...modelOf(scale, family), ...sizes }, `${option}: the teacher`);
  if (!model) throw new UserError(`${option}: its sizes (${Object.values(sizes).join(', ')}) are none of this kit's detectors, and a file does not say its strides and heads: name the run that made it by its id`);
  try {
    return { id: weights.id, model, parameters: fitWeights(weights, model).parameters };
  } catch (error) {
    throw asked(name, error);
  }
}

/** An error about weights that `--teacher` names, as one that begins with the option. */
function asked(name: string, error: unknown): unknown {
  if (!(error instanceof UserError) || error.message.startsWith('--teacher')) return error;
  return new UserError(error.message.startsWith(name) ? `--teacher ${error.message}` : `--teacher ${name}: ${error.message}`);
}

/**
 * Checks that a model can teach a cell's student, and that the student can start from its transformer where the cell says so.
 * @param name what errors call the teacher
 * @throws UserError that names the key and the way out
 */
export function checkTeacherOf({ scale, family, distillation, studentStart }: TaughtCell, teacher: DetectorSettings, name: string): void {
  const student = modelOf(scale, family);
  checkTeacher(student, teacher, distillation ?? { matching: 'literal', feature: 'linear-map', layers: 'last' }, name);
  if (studentStart !== 'teacher') return;
  for (const key of TRANSFORMER_SIZES) {
    if (teacher[key] !== student[key]) throw new UserError(`${name} has ${key} ${teacher[key]} where the student has ${student[key]}, so no student can start from its transformer: choose --start own or --start fresh, or a teacher with ${student[key]}`);
  }
}

function read(name: string, root?: string): ReadWeights {
  try {
    return readNamedWeights(name, { option: '--teacher', words: 'shipped, own' }, root);
  } catch (error) {
    throw asked(name, error);
  }
}

type WeightSizes = Pick<DetectorSettings, 'family' | 'modelWidth' | 'feedForward' | 'encoderLayers' | 'decoderLayers' | 'queries' | 'classes'>;

/** Sizes that shapes and names of a whole detector's weights tell. @throws UserError for weights that are none */
function sizesOf(option: string, { origin, parameters }: ReadWeights): WeightSizes {
  const names = Object.keys(parameters), family = familyOfWeights(names);
  const aligned = names.find(isAlignmentParameter);
  if (aligned !== undefined) throw new UserError(`${option}: ${origin} has distribution alignment ('${aligned}'), and teachers are real-valued detectors without: name a run or file without it`);
  const shape = (name: string): readonly number[] => {
    const there = parameters[name]?.shape;
    if (!there) throw new UserError(`${option}: ${origin} holds no whole detector ('${name}' is missing): name the run or file of one`);
    return there;
  };
  const layers = (part: string): number => new Set(names.flatMap((name) => new RegExp(`^transformer\\.${part}\\.layers\\.(\\d+)\\.`).exec(name)?.[1] ?? [])).size;
  const [outputs, modelWidth] = shape('class_embed.weight');
  return {
    family: family ?? 'detr', modelWidth, feedForward: shape('transformer.decoder.layers.0.linear1.weight')[0], encoderLayers: layers('encoder'), decoderLayers: layers('decoder'),
    queries: shape('query_embed.weight')[0], classes: family === 'smca-detr' ? outputs : outputs - 1,
  };
}

/** The model in the record of a run; undefined for files. */
function recordedModel({ model }: ReadWeights): DetectorSettings | undefined {
  return typeof model === 'object' && model !== null && 'backbone' in model && 'modelWidth' in model ? checkDetectorSettings(model as DetectorSettings) : undefined;
}

/** This kit's detectors of a family, those of a scale first. */
const candidates = (scale: ModelScale, family: Cell['family']): DetectorSettings[] => [scale, ...SCALES.filter((other) => other !== scale)].flatMap((one) => [modelOf(one, family), teacherModelOf(one, family)]);

/** Whether weights are those of a model. */
function fits(parameters: ParameterValues, model: DetectorSettings, sizes: WeightSizes): boolean {
  if (Object.entries(sizes).some(([key, value]) => model[key as keyof WeightSizes] !== value)) return false;
  try {
    fitWeights({ id: '', origin: '', parameters }, model);
    return true;
  } catch (error) {
    if (error instanceof UserError) return false;
    throw error;
  }
}
