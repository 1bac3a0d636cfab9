import { ArchiveFault, shown } from './archive-entry.js';

/** Names of an archive that are taken, compared as a file system does that knows neither case nor how an accent is spelt. */
export class TakenNames {
  readonly #kinds = new Map<string, 'file' | 'folder'>();

  /** @param shownName the name as the archive has it @throws ArchiveFault when it is taken, or lies below a file */
  claim(parts: readonly string[], kind: 'file' | 'folder', shownName: string): void {
    const key = parts.join('/').normalize('NFC').toLowerCase();
    const before = this.#kinds.get(key);
    if (before !== undefined && !(before === 'folder' && kind === 'folder')) throw new ArchiveFault(`its entry ${shown(shownName)} is there twice`);
    for (let at = key.lastIndexOf('/'); at > 0 && before === undefined; at = key.lastIndexOf('/', at - 1)) {
      const above = key.slice(0, at), itsKind = this.#kinds.get(above);
      if (itsKind === 'file') throw new ArchiveFault(`its entry ${shown(shownName)} lies in another file`);
      if (itsKind === 'folder') break;
      this.#kinds.set(above, 'folder');
    }
    this.#kinds.set(key, kind);
  }
}
