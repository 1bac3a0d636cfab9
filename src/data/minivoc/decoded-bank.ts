import type { BankIndex } from './bank-format.js';
import type { DecodedPicture } from './read-pictures.js';
import { Sprite } from './sprite.js';

/** A group of sprites that show the same thing, by source. */
export interface BankGroup {
  class: string;
  group: string;
  name: string;
  unseen: boolean;
  parts: { source: string; sprites: Sprite[] }[];
}

/** The sprite bank. */
export interface Bank {
  groups: BankGroup[];
  backgrounds: { name: string; split: string; picture: DecodedPicture }[];
  /** SHA-256 over the index, which holds those of all other files. */
  hash: string;
}

/** What a bank is made of, as it can be posted to threads: these share the memory of the pictures. */
export interface DecodedBank {
  index: Pick<BankIndex, 'groups' | 'backgrounds'>;
  /** By the name of their file. */
  pictures: ReadonlyMap<string, DecodedPicture>;
  hash: string;
}

/** Cuts the sprites out of the pictures. */
export const bankOf = ({ index, pictures, hash }: DecodedBank): Bank => ({
  hash,
  groups: index.groups.map(({ parts, ...group }) => ({
    ...group,
    parts: parts.map(({ source, sheet, rectangles }) => ({ source, sprites: rectangles.map((rectangle) => new Sprite(pictures.get(sheet)!, rectangle)) })),
  })),
  backgrounds: index.backgrounds.map(({ name, split, file }) => ({ name, split, picture: pictures.get(file)! })),
});
