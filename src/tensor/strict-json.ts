/** A JSON value whose objects are maps (no inherited keys) and whose numbers are whole. */
export type StrictJson = null | boolean | number | string | StrictJson[] | Map<string, StrictJson>;

const MAX_DEPTH = 8; // a safetensors header nests three levels; a damaged one must not exhaust the stack

/**
 * Reads JSON that is given by strangers, more strictly than `JSON.parse`: an object names no key twice, numbers are whole
 * and exact, strings are well-formed Unicode, nothing nests deeper than eight levels.
 * @throws Error that says what was found at which character
 */
export function parseStrictJson(text: string): StrictJson {
  const reader = new Reader(text);
  const value = reader.value(0);
  reader.end();
  return value;
}

class Reader {
  #at = 0;
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  value(depth: number): StrictJson {
    if (depth > MAX_DEPTH) throw this.#error('nests too deep');
    const next = this.#peek();
    if (next === '{') return this.#object(depth);
    if (next === '[') return this.#list(depth);
    if (next === '"') return this.#string();
    const word = this.#match(/null|true|false/y);
    return word === undefined ? this.#integer() : (JSON.parse(word) as null | boolean);
  }

  end(): void {
    this.#peek();
    if (this.#at < this.#text.length) throw this.#error('has something behind its end');
  }

  #object(depth: number): Map<string, StrictJson> {
    const object = new Map<string, StrictJson>();
    this.#items('{', '}', () => {
      if (this.#peek() !== '"') throw this.#error('should have a key in quotes');
      const key = this.#string();
      if (object.has(key)) throw this.#error(`names '${key}' twice`);
      this.#expect(':');
      object.set(key, this.value(depth + 1));
    });
    return object;
  }

  #list(depth: number): StrictJson[] {
    const list: StrictJson[] = [];
    this.#items('[', ']', () => list.push(this.value(depth + 1)));
    return list;
  }

  #items(open: string, close: string, item: () => void): void {
    this.#expect(open);
    if (this.#peek() !== close) {
      item();
      while (this.#peek() === ',') {
        this.#at++;
        item();
      }
    }
    this.#expect(close);
  }

  #string(): string {
    // eslint-disable-next-line no-control-regex -- JSON has no bare control characters in strings
    const quoted = this.#match(/"[^"\\\u0000-\u001f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\u0000-\u001f]*)*"/y);
    if (quoted === undefined) throw this.#error('has a broken string');
    const string = JSON.parse(quoted) as string;
    if (/\p{Surrogate}/u.test(string)) throw this.#error('has half of a surrogate pair');
    return string;
  }

  #integer(): number {
    const digits = this.#match(/-?(?:0|[1-9][0-9]*)(?![0-9.eE])/y);
    const number = Number(digits);
    if (digits === undefined || !Number.isSafeInteger(number)) throw this.#error('should have a whole number, a string, a list or an object');
    return number;
  }

  #peek(): string | undefined {
    this.#match(/[ \t\r\n]*/y);
    return this.#text[this.#at];
  }

  #expect(character: string): void {
    if (this.#peek() !== character) throw this.#error(`should have '${character}'`);
    this.#at++;
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    this.#at += found?.length ?? 0;
    return found;
  }

  #error(what: string): Error {
    return new Error(`${what} at character ${this.#at}`);
  }
}
