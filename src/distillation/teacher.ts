import { UserError } from '../errors.js';
import { featureSize, type DetectorSettings } from '../models/settings.js';
import type { DistillationSettings } from './settings.js';

/**
 * Checks that a teacher can teach a student with these settings. Its depth of backbone, encoder and feed-forward layers may differ (the paper: R101
 * teaches R50), and so may its number of queries, but for same-slot matching.
 * @param name what errors call the teacher, e.g. the file of its checkpoint
 * @throws UserError that names the key
 */
export function checkTeacher(student: DetectorSettings, teacher: DetectorSettings, settings: Pick<DistillationSettings, 'matching' | 'feature' | 'layers'>, name = 'the teacher'): void {
  const same = (key: string, ours: number | string, theirs: number | string, way: string): void => {
    if (ours !== theirs) throw new UserError(`${name} has ${key} ${theirs} where the student has ${ours}: ${way}`);
  };
  same('family', student.family, teacher.family, `choose a teacher of the student's family, or students of the teacher's (--model ${teacher.family})`);
  same('imageSize', student.imageSize, teacher.imageSize, 'both see the same images, so choose a teacher of that size');
  same('classes', student.classes, teacher.classes, 'choose a teacher of the same data set');
  if (settings.feature === 'attention-maps') same('feature map side', featureSize(student), featureSize(teacher), 'distil another feature than attention-maps (--distillation feature=before-projection), or choose a teacher of the same stride');
  else if (settings.feature !== 'linear-map') same('modelWidth', student.modelWidth, teacher.modelWidth, 'choose a teacher of that width, or distil through a linear map (--distillation feature=linear-map)');
  if (settings.layers === 'all') same('decoderLayers', student.decoderLayers, teacher.decoderLayers, 'choose a teacher with as many, or distil the last layer alone (--distillation layers=last)');
  if (settings.matching === 'same-slot') same('queries', student.queries, teacher.queries, 'choose a teacher with as many, or another matching (--distillation matching=literal)');
}
