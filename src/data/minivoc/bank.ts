import { readFileSync } from 'node:fs';
import path from 'node:path';
import { UserError, messageOf } from '../../errors.js';
import { projectPath, readJson, sha256 } from '../../files.js';
import { BANK_FOLDER, bankIndexSchema, type BankIndex } from './bank-format.js';
import { readPictures, type DecodedPicture } from './read-pictures.js';
import { Sprite } from './sprite.js';

/** A group of sprites that show the same thing, by source. */
export interface BankGroup {
  class: string;
  group: string;
  name: string;
  unseen: boolean;
  parts: { source: string; sprites: Sprite[] }[];
}

/** The decoded sprite bank. */
export interface Bank {
  groups: BankGroup[];
  backgrounds: { name: string; split: string; picture: DecodedPicture }[];
  /** SHA-256 over the index, which holds those of all other files. */
  hash: string;
}

const REMEDY = 'git checkout data-manifests/minivoc brings it back';

/**
 * Reads the bank's index and checks every file against its SHA-256.
 * @param folder folder of the bank
 * @returns the index, the files' contents by name and the hash of the whole
 * @throws UserError when a file is missing, damaged or doesn't fit the index
 */
export function readBankFiles(folder = projectPath(BANK_FOLDER)): { index: BankIndex; files: Map<string, Buffer>; hash: string } {
  const indexFile = path.join(folder, 'index.json');
  const parsed = bankIndexSchema.safeParse(readJson(indexFile, REMEDY));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new UserError(`${indexFile}: ${issue.path.join('.') || 'the document'}: ${issue.message}; ${REMEDY}`);
  }
  const index = parsed.data;
  const files = new Map<string, Buffer>();
  for (const [name, { sha256: wanted }] of Object.entries(index.files)) {
    const file = path.join(folder, name);
    let bytes: Buffer;
    try {
      bytes = readFileSync(file);
    } catch (error) {
      throw new UserError(`${file} can't be read (${messageOf(error)}): ${REMEDY}`);
    }
    if (sha256(bytes) !== wanted) throw new UserError(`${file} is damaged (files.${name}.sha256 in index.json doesn't match): ${REMEDY}`);
    files.set(name, bytes);
  }
  index.groups.forEach(({ parts }, i) => parts.forEach(({ sheet, rectangles }, j) => {
    const size = index.files[sheet];
    if (!size) throw new UserError(`${indexFile}: groups.${i}.parts.${j}.sheet names ${sheet}, which is not among files; ${REMEDY}`);
    for (const [x, y, w, h] of rectangles)
      if (x + w > size.width || y + h > size.height) throw new UserError(`${indexFile}: groups.${i}.parts.${j}.rectangles leaves the sheet ${sheet}; ${REMEDY}`);
  }));
  return { index, files, hash: sha256(readFileSync(indexFile)) };
}

const opened = new Map<string, Bank>();

/**
 * Opens the sprite bank; a second call returns the same one.
 * @param folder folder of the bank
 * @throws UserError when a file is missing or damaged
 */
export function openBank(folder = projectPath(BANK_FOLDER)): Bank {
  const known = opened.get(folder);
  if (known) return known;
  const { index, files, hash } = readBankFiles(folder);
  const names = [...files.keys()];
  const pictures = new Map(readPictures([...files.values()]).map((picture, i) => [names[i], picture]));
  const pictureOf = (name: string, channels: number): DecodedPicture => {
    const picture = pictures.get(name);
    const { width, height } = index.files[name] ?? {};
    if (!picture || picture.width !== width || picture.height !== height || picture.channels !== channels)
      throw new UserError(`${path.join(folder, name)} is no picture of ${width}x${height} with ${channels} channels: ${REMEDY}`);
    return picture;
  };
  const bank: Bank = {
    hash,
    groups: index.groups.map(({ parts, ...group }) => ({
      ...group,
      parts: parts.map(({ source, sheet, rectangles }) => ({ source, sprites: rectangles.map((rectangle) => new Sprite(pictureOf(sheet, 4), rectangle)) })),
    })),
    backgrounds: index.backgrounds.map(({ name, split, file }) => ({ name, split, picture: pictureOf(file, 3) })),
  };
  opened.set(folder, bank);
  return bank;
}
