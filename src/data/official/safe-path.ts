import { ArchiveFault, shown } from './archive-entry.js';

/** Bytes that a part of a path, and all of it, may have on the file systems that are in use. */
const PART = 255, WHOLE = 1024;

/**
 * The parts of a path in an archive, if it surely stays inside the folder that the archive is unpacked to, on every system.
 * @returns e.g. `['VOCdevkit', 'VOC2007']`; empty for the folder itself (`./`)
 * @throws ArchiveFault for absolute paths, drive letters, `..`, backslashes, control characters, and names that are too long or no text
 */
export function safePath(name: string): string[] {
  const refuse = (why: string): never => { throw new ArchiveFault(`its entry ${shown(name)} ${why}`); };
  if (name === '') refuse('has no name');
  if (/[\0-\x1f\x7f]/.test(name)) refuse('has a control character in its name'); // eslint-disable-line no-control-regex
  if (name.includes('\ufffd')) refuse('has a name that is no UTF-8');
  if (name.includes('\\')) refuse('has a backslash in its name');
  if (name.startsWith('/') || /^[a-z]:/i.test(name)) refuse('has an absolute path');
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) refuse('leaves its folder');
  if (Buffer.byteLength(name) > WHOLE || parts.some((part) => Buffer.byteLength(part) > PART)) refuse('has a name that is too long');
  return parts;
}
