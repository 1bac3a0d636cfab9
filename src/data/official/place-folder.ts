import { copyFileSync, existsSync, linkSync, lstatSync, mkdirSync, readFileSync, readdirSync, readlinkSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { UserError } from '../../errors.js';

const oldOf = (folder: string): string => path.join(path.dirname(folder), `.${path.basename(folder)}.old`);

/** Brings back a folder whose replacement was interrupted between its two renames. */
export function recoverFolder(folder: string): void {
  if (!existsSync(folder) && existsSync(oldOf(folder))) renameSync(oldOf(folder), folder);
  rmSync(oldOf(folder), { recursive: true, force: true });
}

/**
 * Gives a complete folder its name. Where there is a folder of that name (the other part of VOC 2007), the new one gets its files too, as hard links,
 * before it takes its place: nobody sees a folder with a part of the files.
 * @param complete the new folder, beside the other
 * @param replace whether files of the new folder take the place of others of the same name; otherwise they have to be equal
 * @throws UserError when they aren't; both folders are as they were then, but for links to unchanged files in the new one
 */
export function placeFolder(complete: string, folder: string, replace: boolean): void {
  recoverFolder(folder);
  if (!existsSync(folder)) {
    renameSync(complete, folder);
    return;
  }
  if (!lstatSync(folder).isDirectory()) throw new UserError(`${folder} is no folder: move it away, then start again`);
  takeOver(folder, complete, '', folder, replace);
  renameSync(folder, oldOf(folder));
  renameSync(complete, folder);
  rmSync(oldOf(folder), { recursive: true, force: true });
}

function takeOver(from: string, to: string, inside: string, name: string, replace: boolean): void {
  for (const entry of readdirSync(path.join(from, inside), { withFileTypes: true })) {
    const below = path.join(inside, entry.name), old = path.join(from, below), copy = path.join(to, below);
    const there = lstatSync(copy, { throwIfNoEntry: false });
    if (entry.isDirectory() && (!there || there.isDirectory())) {
      if (!there) mkdirSync(copy);
      takeOver(from, to, below, name, replace);
    } else if (!there) {
      if (entry.isSymbolicLink()) symlinkSync(readlinkSync(old), copy);
      else linkOrCopy(old, copy);
    } else if (!replace && !(entry.isFile() && there.isFile() && isEqual(old, copy))) {
      throw new UserError(`${path.join(name, below)} is there already and differs from the archive's: move ${name} away, or replace such files with --replace`);
    }
  }
}

const isEqual = (a: string, b: string): boolean => lstatSync(a).size === lstatSync(b).size && readFileSync(a).equals(readFileSync(b));

function linkOrCopy(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch {
    copyFileSync(from, to); // file systems without hard links
  }
}
