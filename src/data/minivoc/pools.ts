import type { RandomStream } from '../../tensor/random.js';
import { VOC_CLASSES } from '../voc-classes.js';
import type { Bank, BankGroup } from './decoded-bank.js';
import type { MiniVocSplit } from './settings.js';
import type { Sprite } from './sprite.js';
import type { DecodedPicture } from './read-pictures.js';

/** What one split may show. */
export interface Pools {
  /** Groups of each class (by label), 3D models and emoji apart. */
  classes: readonly (readonly BankGroup[])[][];
  distractors: readonly (readonly BankGroup[])[];
  panoramas: readonly DecodedPicture[];
}

const isModel = (group: BankGroup): boolean => group.parts[0].source === 'sweethome3d-furniture';

/**
 * Chooses what a split may show: test-unseen the groups marked unseen, every other split the rest; each split its own panoramas.
 * @throws Error when a class or the panoramas would be empty (a bank that was built wrongly)
 */
export function poolsOf(bank: Bank, split: MiniVocSplit): Pools {
  const shown = bank.groups.filter(({ unseen }) => unseen === (split === 'test-unseen'));
  const kinds = (name: string): BankGroup[][] => {
    const groups = shown.filter((group) => group.class === name);
    return [groups.filter(isModel), groups.filter((group) => !isModel(group))].filter((kind) => kind.length > 0);
  };
  const pools = {
    classes: VOC_CLASSES.map(kinds),
    distractors: kinds('distractor'),
    panoramas: bank.backgrounds.filter((background) => background.split === split).map(({ picture }) => picture),
  };
  const empty = VOC_CLASSES.find((_, label) => pools.classes[label].length === 0);
  if (empty) throw new Error(`MiniVOC: split ${split} has no sprites of ${empty}`);
  if (!pools.distractors.length || !pools.panoramas.length) throw new Error(`MiniVOC: split ${split} has no distractors or no panoramas`);
  return pools;
}

const pick = <T>(values: readonly T[], random: RandomStream): T => values[random.integer(values.length)];

/**
 * Draws a sprite: a kind (3D or emoji) with weight proportional to the square root of its number of groups, then group, source and
 * picture uniformly.
 */
export function drawSprite(kinds: readonly (readonly BankGroup[])[], random: RandomStream): Sprite {
  const weights = kinds.map((kind) => Math.sqrt(kind.length));
  let at = random.uniform(0, weights.reduce((sum, weight) => sum + weight, 0));
  let k = 0;
  while (k < kinds.length - 1 && at >= weights[k]) at -= weights[k++];
  return pick(pick(pick(kinds[k], random).parts, random).sprites, random);
}
