import { sha256 } from '../../files.js';
import type { DetectionDataset } from '../dataset.js';
import type { MiniVoc } from './composed-split.js';

/** The first `length` single sprites of a split as a data set: each image shows one object, whose box is the whole image. */
export function spriteDataset({ size, split, classes, dataHash, sprites, composeSprites }: MiniVoc, length: number): DetectionDataset {
  return {
    length, size, classes, compose: composeSprites,
    dataHash: sha256(`${dataHash} sprites ${length}`),
    sample: (index) => {
      const { image, label } = sprites(index);
      return { id: `${split}-sprite-${String(index).padStart(6, '0')}`, image, objects: [{ label, box: [0, 0, size, size], difficult: false, truncated: false, occluded: false, crowd: false }] };
    },
  };
}
