import type { DetectionDataset } from '../data/dataset.js';
import type { DistillationSettings } from '../distillation/settings.js';
import type { DetectorSettings } from '../models/settings.js';
import { isQuantizerParameter } from '../quantizer/scales.js';
import { selectParameters, type ParameterValues } from '../tensor/parameters.js';
import { apart } from '../tensor/together.js';
import { computeFeatures, type FeatureCache } from '../training/feature-cache.js';
import { openTeacherOutputs, type TeacherOutputs } from '../training/teacher-outputs.js';
import type { RunTeacher } from './detector-run.js';
import { parameterHash } from './parameter-hash.js';

/** Feature caches that are kept, of the last backbones: a grid trains many students on one. */
const KEPT = 2;
const caches = new Map<string, Promise<FeatureCache>>();

/** The features of a backbone on the training images, computed once in a process. */
export function trainingFeatures(model: DetectorSettings, parameters: ParameterValues, dataset: DetectionDataset): Promise<FeatureCache> {
  const key = `${dataset.dataHash} ${backboneHash(parameters)}`;
  const features = caches.get(key) ?? apart(() => computeFeatures(model, parameters, dataset));
  caches.delete(key);
  caches.set(key, features);
  features.catch(() => caches.get(key) === features && caches.delete(key)); // whoever asks next tries again
  for (const oldest of [...caches.keys()].slice(0, -KEPT)) caches.delete(oldest);
  return features;
}

/** The features that a teacher reads: undefined where its backbone is the student's. */
export async function teacherFeatures(student: ParameterValues, { model, parameters }: RunTeacher, dataset: DetectionDataset): Promise<FeatureCache | undefined> {
  return backboneHash(student) === backboneHash(parameters) ? undefined : trainingFeatures(model, parameters, dataset);
}

let lastOutputs: { key: string; outputs: TeacherOutputs } | undefined;

/**
 * The outputs of a teacher on the training images that a distillation of these settings reads: computed when first asked for, once for all trainings that go on
 * together or follow one another. The last ones are kept: 1.2 GB at scale `gpu`.
 */
export function teacherOutputs({ model, parameters }: RunTeacher, settings: DistillationSettings, dataset: DetectionDataset & Required<Pick<DetectionDataset, 'packed'>>): TeacherOutputs {
  const { feature, layers, matching } = settings;
  const key = [dataset.dataHash, parameterHash(parameters), JSON.stringify(model), feature, layers, matching === 'hungarian'].join(' ');
  if (lastOutputs?.key !== key) {
    const { shapes, all } = openTeacherOutputs(model, parameters, settings, dataset);
    lastOutputs = { key, outputs: { shapes, all: (told) => apart(() => all(told)) } };
  }
  return lastOutputs.outputs;
}

const backboneHash = (parameters: ParameterValues): string => parameterHash(selectParameters(parameters, (name) => name.startsWith('backbone.') && !isQuantizerParameter(name)));
