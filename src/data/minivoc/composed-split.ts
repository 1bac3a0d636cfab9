import { sha256 } from '../../files.js';
import type { DetectionDataset, Sample } from '../dataset.js';
import { VOC_CLASSES } from '../voc-classes.js';
import { compose, COMPOSER_VERSION, type Composition } from './compose.js';
import type { Bank } from './decoded-bank.js';
import { poolsOf } from './pools.js';
import { drawScene, drawSingle } from './scene.js';
import { MINIVOC_SEED, MINIVOC_SPLITS, type MiniVocSettings } from './settings.js';

/** The embedded data set: images composed when they are asked for. */
export interface MiniVoc extends DetectionDataset {
  readonly split: string;
  /** The image with the instance of each pixel; `sample` without the latter. */
  composition(index: number): Composition;
  /** One sprite in the middle of an image, for pre-training a backbone: RGB pixels [size, size, 3] and the label. */
  sprites(index: number): { image: Uint8Array; label: number };
  /** As `compose`, of {@link MiniVoc.sprites}. */
  composeSprites?: DetectionDataset['compose'];
}

/** A split of MiniVOC, composed of a bank. */
export function composedSplit(bank: Bank, { size, split, seed = MINIVOC_SEED }: MiniVocSettings): MiniVoc {
  const pools = poolsOf(bank, split);
  const length = MINIVOC_SPLITS[split];
  const composition = (index: number): Composition => {
    if (!Number.isInteger(index) || index < 0 || index >= length) throw new RangeError(`MiniVOC ${split} has images 0 to ${length - 1}, not ${index}`);
    return compose(drawScene(pools, split, seed, index), size);
  };
  return {
    length, size, split, classes: VOC_CLASSES, composition,
    dataHash: sha256(`minivoc composer ${COMPOSER_VERSION} bank ${bank.hash} split ${split} seed ${seed} size ${size} length ${length}`),
    sample: (index): Sample => {
      const { image, objects } = composition(index);
      return { id: `${split}-${String(index).padStart(6, '0')}`, image, objects };
    },
    sprites: (index) => {
      const scene = drawSingle(pools, split, seed, index);
      return { image: compose(scene, size).image, label: scene.instances[0].label };
    },
  };
}
