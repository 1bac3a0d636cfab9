import { VOC_CLASSES } from '../voc-classes.js';
import type { Bank } from './decoded-bank.js';
import type { MiniVoc } from './minivoc.js';

/** Sprites and groups of a class. */
export interface SpriteCount { class: string; groups: number; sprites: number; unseenGroups: number; unseenSprites: number }

/** Counts the bank's sprites by class, "distractor" last; `unseen` ones are those of test-unseen, the rest are of all other splits. */
export function countSprites(bank: Bank): SpriteCount[] {
  return [...VOC_CLASSES, 'distractor'].map((name) => {
    const groups = bank.groups.filter((group) => group.class === name);
    const sprites = (unseen: boolean): number => groups.filter((group) => group.unseen === unseen).reduce((sum, { parts }) => sum + parts.reduce((n, part) => n + part.sprites.length, 0), 0);
    const unseenGroups = groups.filter(({ unseen }) => unseen).length;
    return { class: name, groups: groups.length - unseenGroups, sprites: sprites(false), unseenGroups, unseenSprites: sprites(true) };
  });
}

/** Objects of a split: all, and by class; difficult ones are counted in both. */
export interface ObjectCount { images: number; objects: number; difficult: number; truncated: number; occluded: number; crowds: number; perClass: number[] }

/** Counts the objects of the first `images` images. */
export function countObjects(dataset: MiniVoc, images: number): ObjectCount {
  const count: ObjectCount = { images, objects: 0, difficult: 0, truncated: 0, occluded: 0, crowds: 0, perClass: VOC_CLASSES.map(() => 0) };
  for (let index = 0; index < images; index++)
    for (const { label, difficult, truncated, occluded, crowd } of dataset.sample(index).objects) {
      count.objects++;
      count.perClass[label]++;
      if (difficult) count.difficult++;
      if (truncated) count.truncated++;
      if (occluded) count.occluded++;
      if (crowd) count.crowds++;
    }
  return count;
}
