import type { AnnotatedObject } from './dataset.js';
import type { ImageDataset, ImageEntry } from './image-dataset.js';

/** Whether a detector is to learn an object: neither difficult nor a crowd. */
export const isLearned = ({ difficult, crowd }: AnnotatedObject): boolean => !difficult && !crowd;

/** A data set of entries that are all known. */
export function imageDataset({ entries, ...about }: Pick<ImageDataset, 'name' | 'classes' | 'dataHash' | 'broken' | 'truth'> & { entries: readonly ImageEntry[] }): ImageDataset {
  const objectsPerImage = entries.reduce((most, { objects }) => Math.max(most, objects.filter(isLearned).length), 0);
  return { ...about, length: entries.length, objectsPerImage, entry: (index) => entries[index] };
}
