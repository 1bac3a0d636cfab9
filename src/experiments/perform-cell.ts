import { UserError } from '../errors.js';
import { formatPrecision, parsePrecision, REAL } from '../quantizer/precision.js';
import { MODULE_GROUPS } from '../models/quantization-policy.js';
import { modelOf, type DetectorSettings } from '../models/settings.js';
import { selectParameters } from '../tensor/parameters.js';
import type { TrainingSettings } from '../training/settings.js';
import type { Cell } from './cell.js';
import { detectorRun, openData, sizesOf, type DetectorData, type DetectorRunOptions, type RunStart, type RunTeacher } from './detector-run.js';
import { postTrainingRun } from './post-training-run.js';
import { isTaught, realValuedWeights, teacherWeights } from './real-valued-weights.js';
import { performRun, type ExperimentRun, type FinishedRun, type PerformOptions, type RunListener } from './run.js';
import { stageSettings, stagesOf } from './stage-settings.js';

/** How a cell is performed. */
export interface PerformCellOptions extends Omit<PerformOptions, 'listener'> {
  /** A listener for each of its runs, made before it begins. */
  listen?(name: string, training: TrainingSettings): RunListener;
}

let opened: { key: string; data: DetectorData } | undefined;

/** The data of a scale; the last one is kept, since a grid has many cells of one. */
function dataOf(model: DetectorSettings, { scale, scope }: Pick<Cell, 'scale' | 'scope'>): DetectorData {
  const key = `${scale} ${scope} ${model.imageSize}`;
  if (opened?.key !== key) opened = { key, data: openData(model, sizesOf(scale, scope)) };
  return opened.data;
}

/**
 * Trains a cell to its end, or finds it finished. Scope `detector`: stage 1 quantizes the backbone alone, stage 2 everything from stage 1's
 * checkpoint, with teacher and alignment in both (decisions A19, A20); a real-valued cell takes the steps of both stages in one run. A warm-up
 * comes before them, a run that all cells of a seed share.
 * `transformer`: one stage on fixed features. `post-training`: no training.
 * @returns its last run
 * @throws what `performRun` throws; UserError for settings that do not go together
 */
export async function performCell(cell: Cell, { listen, ...options }: PerformCellOptions): Promise<FinishedRun> {
  checkCell(cell);
  const perform = (run: ExperimentRun, name: string): Promise<FinishedRun> => performRun(run, { ...options, listener: listen?.(name, run.training) });
  const model = modelOf(cell.scale, cell.family), data = dataOf(model, cell), training = stageSettings(cell);
  const own = await realValuedWeights(cell, data, perform, options.root);
  const teacher = !isTaught(cell) ? null : await teacherWeights(cell, own, data, perform, options.root);
  const { experiment, artefact, method, bits, scale, scope, preset, quantizer, weightStart, alignment, informationPoints, studentStart, groups } = cell;
  const name = `${method} ${bits}`;
  const at = `${experiment}/${slug(method)}-${bits}`;
  if (scope === 'post-training') return perform(postTrainingRun(cell, own, data, training), name);
  if (quantizer === 'VT-PTQ') throw new UserError(`quantizer VT-PTQ with scope ${scope}: choose scope post-training`);
  const shared: Omit<DetectorRunOptions, 'experiment' | 'artefact' | 'from'> = {
    method, bits, scale, model, training, data, batchStatistics: true, scope, preset, quantizer, weightStart, alignment, studentStart, warmUp: scope === 'detector' ? cell.warmUp : 0,
    distillation: cell.distillation && teacher ? { settings: cell.distillation, teacher } : null,
  };
  const start = await warmedUp(cell, studentWeights(cell, own, teacher), { method: 'Real-valued', bits: formatPrecision(REAL), scale, model, training, data, batchStatistics: true, artefact: [] }, perform);
  const isRealValued = bits === formatPrecision(REAL);
  if (isRealValued || scope === 'transformer') {
    const whole = { ...training, steps: stagesOf(cell) * training.steps };
    return perform(detectorRun({ ...shared, training: whole, groups, experiment: at, artefact, informationPoints, from: start }), name);
  }
  const firstGroups = groups.filter((group) => group === 'backbone');
  const first = await perform(detectorRun({ ...shared, groups: firstGroups, experiment: `stage-1/${slug(method)}-${bits}`, artefact: [], from: start }), `${name}, stage 1`);
  const trained: RunStart = { id: first.id, parameters: first.parameters, trainedGroups: firstGroups };
  return perform(detectorRun({ ...shared, groups, experiment: at, artefact, informationPoints, from: trained }), `${name}, stage 2`);
}

/** Where a student starts: the backbone always from its own trained weights (the paper: from ImageNet), the transformer as the cell says. */
function studentWeights({ studentStart }: Cell, own: RunStart, teacher: RunTeacher | null): RunStart {
  const isBackbone = (name: string): boolean => name.startsWith('backbone.');
  if (studentStart === 'own') return own;
  if (studentStart === 'fresh') return { id: `backbone of ${own.id}`, parameters: selectParameters(own.parameters, isBackbone) };
  if (!teacher) throw new Error('a cell whose student starts from its teacher was given none');
  return { id: `backbone of ${own.id}, transformer of ${teacher.id}`, parameters: { ...own.parameters, ...selectParameters(teacher.parameters, (name) => !isBackbone(name)) } };
}

/** A student after its warm-up: real-valued, L_GT alone, at a learning rate that does not fall; as it was without one. */
async function warmedUp({ warmUp, scope }: Cell, from: RunStart, options: Omit<DetectorRunOptions, 'experiment' | 'from'>, perform: (run: ExperimentRun, name: string) => Promise<FinishedRun>): Promise<RunStart> {
  if (warmUp === 0 || scope !== 'detector') return from;
  const training: TrainingSettings = { ...options.training, steps: warmUp, warmUpSteps: Math.min(warmUp, options.training.warmUpSteps), schedule: 'constant', evaluationInterval: warmUp };
  const { id, parameters } = await perform(detectorRun({ ...options, training, experiment: 'stage-0/real-valued', from }), 'warm-up');
  return { id, parameters };
}

const slug = (method: string): string => method.toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, '');

/** @throws UserError for settings that do not go together */
function checkCell({ bits, groups }: Cell): void {
  parsePrecision(bits);
  const strange = groups.find((group) => !MODULE_GROUPS.includes(group));
  if (strange !== undefined) throw new UserError(`groups holds '${String(strange)}': choose of ${MODULE_GROUPS.join(', ')}`);
}
