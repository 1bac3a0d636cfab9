import { closeSync, createReadStream, fsyncSync, openSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { UserError } from '../../errors.js';

/** An unpacked file: its path below the folder, with `/`. */
export interface UnpackedFile { path: string; bytes: number; crc32: number }

/** Writes the list of unpacked files, in large pieces: `<CRC-32 in hex> <bytes> <path>`, a line each. */
export class ListWriter {
  readonly #handle: number;
  #lines: string[] = [];

  constructor(file: string) { this.#handle = openSync(file, 'w'); }

  add({ path, bytes, crc32 }: UnpackedFile): void {
    if (this.#lines.push(`${crc32.toString(16).padStart(8, '0')} ${bytes} ${path}\n`) >= 4096) this.#flush();
  }

  close(): void {
    try {
      this.#flush();
      fsyncSync(this.#handle);
    } finally {
      closeSync(this.#handle);
    }
  }

  #flush(): void {
    if (this.#lines.length > 0) writeSync(this.#handle, this.#lines.join(''));
    this.#lines = [];
  }
}

/** Reads such a list. @throws UserError when it is damaged */
export async function* readList(file: string): AsyncGenerator<UnpackedFile> {
  let number = 0;
  for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Infinity })) {
    number++;
    const [found, crc, bytes, path] = /^([0-9a-f]{8}) (\d+) (.+)$/.exec(line) ?? [];
    if (found === undefined) throw new UserError(`${file}: line ${number} is damaged: delete the file and fetch the set again`);
    yield { path, bytes: Number(bytes), crc32: Number.parseInt(crc, 16) };
  }
}
