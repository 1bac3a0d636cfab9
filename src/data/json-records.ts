import { UserError, messageOf } from '../errors.js';

const QUOTE = 34, COMMA = 44, COLON = 58, OPEN_LIST = 91, BACKSLASH = 92, CLOSE_LIST = 93, OPEN = 123, CLOSE = 125;

/** What is done with each record of a list: the record, parsed, and its place in the list. */
export type RecordHandler = (record: unknown, index: number) => void;

/**
 * Goes through the lists of a JSON file, one object of lists as COCO's annotations are, and parses one record at a time. Such a file may be of any length: the memory
 * that it takes is that of its bytes, where `JSON.parse` of the 470 MB of COCO's training annotations takes several times that, and ends at 512 MB.
 * @param bytes UTF-8
 * @param handlers by the list's key; other keys are passed over
 * @param file name for errors
 * @param remedy what to do about them
 * @throws UserError when the JSON is malformed or cut off, a list is missing or no list, or comes twice
 */
export function readJsonRecords(bytes: Buffer, handlers: Readonly<Record<string, RecordHandler>>, file: string, remedy: string): void {
  const fail = (what: string): never => {
    throw new UserError(`${file} ${what}: ${remedy}`);
  };
  let at = 0;
  const space = (): void => {
    while (bytes[at] === 32 || bytes[at] === 10 || bytes[at] === 13 || bytes[at] === 9) at++;
  };
  const expect = (byte: number): void => {
    space();
    if (bytes[at] !== byte) fail(at >= bytes.length ? 'is cut off' : `is no JSON (byte ${at} should be ${String.fromCharCode(byte)})`);
    at++;
  };
  /** A value, parsed where it is wanted. */
  const value = (where: string, isWanted: boolean): unknown => {
    space();
    const start = at;
    at = endOfValue(bytes, at);
    if (at > bytes.length) fail(`is cut off in ${where}`);
    if (!isWanted) return undefined;
    try {
      return JSON.parse(bytes.toString('utf8', start, at));
    } catch (error) {
      return fail(`is no JSON in ${where} (${messageOf(error)})`);
    }
  };
  /** Calls `item` for the first of several that commas part, and so on. */
  const separated = (close: number, item: (index: number) => void): void => {
    space();
    if (bytes[at] === close) return void at++;
    for (let index = 0; ; index++) {
      item(index);
      space();
      if (bytes[at] !== COMMA) return expect(close);
      at++;
    }
  };
  const seen = new Set<string>();
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) at = 3; // byte-order mark
  expect(OPEN);
  separated(CLOSE, () => {
    const key = String(value('a key', true)), isWanted = Object.hasOwn(handlers, key);
    expect(COLON);
    if (!isWanted) return void value(`'${key}'`, false);
    if (seen.has(key)) fail(`has '${key}' twice`);
    seen.add(key);
    space();
    if (bytes[at] !== OPEN_LIST) fail(`has something else than a list as '${key}'`);
    at++;
    separated(CLOSE_LIST, (index) => handlers[key](value(`${key}[${index}]`, true), index));
  });
  space();
  if (at < bytes.length) fail(`is no JSON (something follows its end, byte ${at})`);
  const missing = Object.keys(handlers).find((key) => !seen.has(key));
  if (missing !== undefined) fail(`has no list '${missing}'`);
}

/** Where a value ends: behind its last byte; beyond the last byte of all where it is cut off. */
function endOfValue(bytes: Buffer, start: number): number {
  const { length } = bytes;
  let depth = 0;
  for (let at = start; at < length; at++) {
    const byte = bytes[at];
    if (byte === QUOTE) {
      for (at++; at < length && bytes[at] !== QUOTE; at++) if (bytes[at] === BACKSLASH) at++;
      if (at >= length) return length + 1;
      if (depth === 0) return at + 1;
    } else if (byte === OPEN || byte === OPEN_LIST) depth++;
    else if (byte === CLOSE || byte === CLOSE_LIST) {
      if (depth === 0) return at; // of a number or a word, closed by what it is in
      if (--depth === 0) return at + 1;
    } else if (depth === 0 && (byte === COMMA || byte <= 32)) return at;
  }
  return length + 1;
}
