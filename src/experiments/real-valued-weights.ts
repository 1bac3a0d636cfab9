import { teacherModelOf, modelOf, type DetectorSettings } from '../models/settings.js';
import { PRESETS, resolveSettings, type TrainingSettings } from '../training/settings.js';
import type { Cell } from './cell.js';
import { backboneRun, detectorRun, type DetectorData, type RunStart, type RunTeacher, type SpritePool } from './detector-run.js';
import type { ExperimentRun, FinishedRun } from './run.js';
import { hasShippedWeights, shippedName } from './shipped-weights.js';
import { startingWeights } from './starting-weights.js';
import { checkTeacherOf, namedTeacher, type TaughtCell } from './teacher-weights.js';

/** Performs a run, or finds it finished. */
export type Perform = (run: ExperimentRun, name: string) => Promise<FinishedRun>;

type Trained = Pick<Cell, 'scale' | 'family' | 'seed' | 'changes'>;

/**
 * The student's own real-valued weights: those that come with the project where it has some of this scale and family; else a backbone trained
 * on single sprites (the stand-in for ImageNet) and a detector trained from it, as runs of their own that all cells of a grid share.
 */
export async function realValuedWeights({ scale, family, seed, changes }: Trained, data: DetectorData, perform: Perform, root?: string): Promise<RunStart> {
  const model = modelOf(scale, family), name = shippedName(scale, family);
  if (hasShippedWeights(name)) return startingWeights('shipped', model, name, root);
  return trainRealValued('student', model, { scale, seed, changes }, data, perform);
}

/** The two detectors that cells need real-valued: the student, and the larger teacher. */
export const ROLES = ['student', 'teacher'] as const;
/** See `ROLES`. */
export type Role = (typeof ROLES)[number];

/** A detector of some model from random weights, its backbone trained on sprites first. */
export async function trainRealValued(role: Role, model: DetectorSettings, { scale, seed, changes }: Omit<Trained, 'family'>, data: DetectorData, perform: Perform): Promise<FinishedRun> {
  const training = resolveSettings(scale, { ...changes, seed }, '--set');
  const onSprites: TrainingSettings = { ...training, evaluationInterval: training.steps, ...SPRITES[scale].training, jitter: undefined }; // no detector's images
  const backbone = await perform(backboneRun(`weights/${role}-backbone`, scale, model, data, onSprites, SPRITES[scale].pool), `${role}'s backbone on sprites`);
  return perform(detectorRun({ experiment: `weights/${model.family}-${role}`, method: `Real-valued ${role}`, bits: '32-32-32', scale, artefact: [], model, training, data, batchStatistics: true, from: backbone }), `real-valued ${role}`);
}

/** A backbone's training on sprites: how it differs from the scale's preset, and the pool that it goes through in epochs; without one, each sprite is new and of the detector's image size. */
const SPRITES: Readonly<Record<Cell['scale'], { training: Partial<TrainingSettings>; pool?: SpritePool }>> = {
  smoke: { training: { steps: 4, warmUpSteps: Math.min(2, PRESETS.smoke.warmUpSteps) } },
  minutes: { training: { steps: 900, batchSize: 64, learningRate: 2e-3, schedule: 'cosine', warmUpSteps: 50, evaluationInterval: 900 } },
  // The pilot's steps, batches and 64 pixels. A GPU is faster than sprites are composed: 640,000 of them would take seven minutes of a core, 32,768 stay in its memory.
  gpu: { training: { steps: 2500, batchSize: 256, learningRate: 2e-3, schedule: 'cosine', warmUpSteps: 100, evaluationInterval: 2500 }, pool: { size: 64, count: 32_768 } },
};

/**
 * The teacher that a cell names: `own` is the student's real-valued weights; `shipped` a larger model that comes with the project, or is trained as a
 * run of its own where the project has none of this scale and family; else a run's id or a file ({@link namedTeacher}).
 */
export async function teacherWeights(cell: Trained & TaughtCell, own: RunStart, data: DetectorData, perform: Perform, root?: string): Promise<RunTeacher> {
  const { teacher, scale, family } = cell;
  const model = teacherModel(cell);
  if (!model) return namedTeacher(cell, root);
  if (teacher === 'own') return { id: own.id, model, parameters: own.parameters };
  const name = shippedName(scale, family, '-teacher');
  const weights = hasShippedWeights(name) ? startingWeights('shipped', model, name, root) : await trainRealValued('teacher', model, cell, data, perform);
  return { id: weights.id, model, parameters: weights.parameters };
}

/** The model of a teacher that is no named run or file. */
function teacherModel({ teacher, scale, family }: TaughtCell): DetectorSettings | undefined {
  return teacher === 'own' ? modelOf(scale, family) : teacher === 'shipped' ? teacherModelOf(scale, family) : undefined;
}

/** Whether a cell needs its teacher. */
export const isTaught = ({ distillation, studentStart }: Pick<Cell, 'distillation' | 'studentStart'>): boolean => distillation !== null || studentStart === 'teacher';

/**
 * Checks, before any training, that what cells start from and learn from is there and fits: weights that come with the project are sound, a
 * named teacher is a run or file with the weights of a detector, and each teacher fits what is distilled. Each is looked at once.
 * @throws UserError that names the option or file, the key and the way out
 */
export function checkWeights(cells: readonly Cell[], root?: string): void {
  const checked = new Set<string>();
  const once = (what: unknown, check: () => void): void => {
    const key = JSON.stringify(what);
    if (!checked.has(key)) check();
    checked.add(key);
  };
  const shipped = (name: string, model: DetectorSettings): void => once(name, () => void (hasShippedWeights(name) && startingWeights('shipped', model, name, root)));
  for (const cell of cells) {
    const { scale, family, teacher, distillation, studentStart } = cell;
    shipped(shippedName(scale, family), modelOf(scale, family));
    if (!isTaught(cell)) continue;
    const { matching, feature, layers } = distillation ?? {}, model = teacherModel(cell);
    if (model && teacher === 'shipped') shipped(shippedName(scale, family, '-teacher'), model);
    once([scale, family, teacher, studentStart === 'teacher', matching, feature, layers], () => {
      if (model) checkTeacherOf(cell, model, `--teacher ${teacher}: the teacher`);
      else namedTeacher(cell, root);
    });
  }
}
