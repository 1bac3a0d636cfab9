import { readFileSync } from 'node:fs';

/** Advance widths of a TrueType font's characters, as fractions of the font size. */
class FontWidths {
  readonly #font: Buffer;
  readonly #tables = new Map<string, number>();
  readonly #unitsPerEm: number;
  readonly #longMetrics: number;
  readonly #known = new Map<number, number>();

  constructor(file: string) {
    this.#font = readFileSync(file);
    const count = this.#font.readUInt16BE(4);
    for (let i = 0; i < count; i++) {
      const entry = 12 + 16 * i;
      this.#tables.set(this.#font.toString('latin1', entry, entry + 4), this.#font.readUInt32BE(entry + 8));
    }
    this.#unitsPerEm = this.#font.readUInt16BE(this.#table('head') + 18);
    this.#longMetrics = this.#font.readUInt16BE(this.#table('hhea') + 34);
  }

  #table(name: string): number {
    return this.#tables.get(name) ?? 0;
  }

  /** Glyph number of a character, from the font's Unicode table (cmap format 4); 0 where it has none. */
  #glyph(code: number): number {
    const font = this.#font;
    const cmap = this.#table('cmap');
    for (let i = 0; i < font.readUInt16BE(cmap + 2); i++) {
      const at = cmap + font.readUInt32BE(cmap + 4 + 8 * i + 4);
      if (font.readUInt16BE(at) !== 4) continue;
      const doubled = font.readUInt16BE(at + 6);
      for (let s = 0; s < doubled; s += 2) {
        if (code > font.readUInt16BE(at + 14 + s)) continue;
        const start = font.readUInt16BE(at + 16 + doubled + s);
        if (code < start) return 0;
        const delta = font.readUInt16BE(at + 16 + 2 * doubled + s);
        const place = at + 16 + 3 * doubled + s;
        const range = font.readUInt16BE(place);
        if (range === 0) return (code + delta) & 0xffff;
        const glyph = font.readUInt16BE(place + range + 2 * (code - start));
        return glyph === 0 ? 0 : (glyph + delta) & 0xffff;
      }
    }
    return 0;
  }

  of(code: number): number {
    const known = this.#known.get(code);
    if (known !== undefined) return known;
    const metric = Math.min(this.#glyph(code), this.#longMetrics - 1);
    const width = this.#font.readUInt16BE(this.#table('hmtx') + 4 * metric) / this.#unitsPerEm;
    this.#known.set(code, width);
    return width;
  }
}

const fonts = new Map<string, FontWidths>();

/** Width of `text` set in the TrueType font `file` at `size` pixels (no kerning). */
export function textWidth(text: string, file: string, size: number): number {
  const font = fonts.get(file) ?? new FontWidths(file);
  fonts.set(file, font);
  let width = 0;
  for (const character of text) width += font.of(character.codePointAt(0) ?? 0);
  return width * size;
}

/** Breaks `text` at spaces into lines of at most `width` pixels, set in the font `file` at `size` pixels; a longer word has a line of its own. */
export function wrapText(text: string, width: number, file: string, size: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(/\s+/).filter((part) => part !== '')) {
    const longer = lines.length === 0 ? word : `${lines[lines.length - 1]} ${word}`;
    if (lines.length > 0 && textWidth(longer, file, size) <= width) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}
