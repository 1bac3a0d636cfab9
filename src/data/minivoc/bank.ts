import { readFileSync } from 'node:fs';
import path from 'node:path';
import { UserError, messageOf } from '../../errors.js';
import { projectPath, readJson, sha256 } from '../../files.js';
import { BANK_FOLDER, bankIndexSchema, type BankIndex } from './bank-format.js';
import { bankOf, type Bank, type DecodedBank } from './decoded-bank.js';
import { readPictures } from './read-pictures.js';

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

const opened = new Map<string, { bank: Bank; decoded: DecodedBank }>();

/**
 * Opens the sprite bank; a second call returns the same one.
 * @param folder folder of the bank
 * @throws UserError when a file is missing or damaged
 */
export const openBank = (folder?: string): Bank => open(folder).bank;

/** What the bank is made of, for threads. See {@link openBank}. */
export const decodedBank = (folder?: string): DecodedBank => open(folder).decoded;

function open(folder = projectPath(BANK_FOLDER)): { bank: Bank; decoded: DecodedBank } {
  const known = opened.get(folder);
  if (known) return known;
  const { index, files, hash } = readBankFiles(folder);
  const names = [...files.keys()];
  const pictures = new Map(readPictures([...files.values()]).map((picture, i) => [names[i], picture]));
  const check = (name: string, channels: number): void => {
    const picture = pictures.get(name);
    const { width, height } = index.files[name] ?? {};
    if (!picture || picture.width !== width || picture.height !== height || picture.channels !== channels)
      throw new UserError(`${path.join(folder, name)} is no picture of ${width}x${height} with ${channels} channels: ${REMEDY}`);
  };
  index.groups.forEach(({ parts }) => parts.forEach(({ sheet }) => check(sheet, 4)));
  index.backgrounds.forEach(({ file }) => check(file, 3));
  const decoded = { index: { groups: index.groups, backgrounds: index.backgrounds }, pictures, hash }, bank = bankOf(decoded);
  opened.set(folder, { bank, decoded });
  return { bank, decoded };
}
