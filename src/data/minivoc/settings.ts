import { UserError } from '../../errors.js';

/** Sides of the images in pixels. */
export const MINIVOC_SIZES = [64, 96, 128, 256] as const;

/**
 * Splits and their numbers of images. `train`, `val` and `test` show the same sprites in different scenes before different
 * backgrounds; `test-unseen` shows sprite groups that no other split shows.
 */
export const MINIVOC_SPLITS = { 'train': 32_000, 'val': 1_000, 'test': 2_000, 'test-unseen': 2_000 } as const;

/** Side of an image. */
export type MiniVocSize = (typeof MINIVOC_SIZES)[number];
/** Name of a split. */
export type MiniVocSplit = keyof typeof MINIVOC_SPLITS;

/** Settings of an embedded data set. */
export interface MiniVocSettings {
  size: MiniVocSize;
  split: MiniVocSplit;
  /** Seed of the scenes; the published splits are those of the default, 2023. */
  seed?: number;
}

/** Seed of the published splits. */
export const MINIVOC_SEED = 2023;

/**
 * Checks settings that may come from a command line or a file.
 * @throws UserError that names the key and the allowed values
 */
export function checkSettings(settings: { size: number; split: string; seed?: number }): asserts settings is MiniVocSettings {
  const { size, split, seed } = settings;
  if (!(MINIVOC_SIZES as readonly number[]).includes(size)) throw new UserError(`MiniVOC: size is ${size}: choose one of ${MINIVOC_SIZES.join(', ')}`);
  if (!Object.hasOwn(MINIVOC_SPLITS, split)) throw new UserError(`MiniVOC: split is "${split}": choose one of ${Object.keys(MINIVOC_SPLITS).join(', ')}`);
  if (seed !== undefined && !(Number.isSafeInteger(seed) && seed >= 0)) throw new UserError(`MiniVOC: seed is ${seed}: choose a whole number from 0`);
}
