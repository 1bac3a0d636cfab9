/** A tuple of a pickle; plain arrays are its lists. */
export class PickleTuple {
  constructor(readonly items: readonly PickleValue[]) {}
}

/** What may key a dictionary. */
export type PickleKey = null | boolean | number | bigint | string;

/** A dictionary of a pickle, also an ordered one. */
export type PickleDictionary = Map<PickleKey, PickleValue>;

/** Something that an allowed global made: what it is, only its maker knows. `setState` takes what the BUILD opcode brings. */
export abstract class PickleObject {
  abstract setState(state: PickleValue): boolean;
}

/** A global that a pickle may name. It is a description, never code of the pickle's. */
export class PickleGlobal {
  /**
   * @param reduce what calling it with some arguments gives (REDUCE); undefined: the arguments are wrong
   * @param create what an empty new object of it is (NEWOBJ without arguments)
   */
  constructor(
    readonly name: string,
    readonly reduce?: (args: readonly PickleValue[]) => PickleValue | undefined,
    readonly create?: () => PickleValue,
  ) {}
}

/** Any value of a pickle. */
export type PickleValue = PickleKey | PickleValue[] | PickleTuple | PickleDictionary | PickleObject | PickleGlobal;

/** What a pickle may refer to. */
export interface PickleRules {
  /** The globals that are known, by `module.name`; every other one is refused by its name. */
  globals: ReadonlyMap<string, PickleGlobal>;
  /** What a persistent id (BINPERSID) stands for; undefined: it is refused. */
  persistent: (id: PickleValue) => PickleObject | undefined;
  /** Throws for what is damaged. */
  refuse: (what: string) => never;
  /** Throws for an opcode or a global that is sound but not allowed. */
  forbid: (what: string) => never;
}

/** Limits of one pickle: what it makes takes 200 MB at most beside its texts; a checkpoint of DETR-R101 with its optimizer has some 100,000 opcodes. */
const MAX_OPCODES = 1_000_000, MAX_STACK = 100_000, MAX_MEMO = 1_000_000, MAX_MARKS = 1_000, MAX_GLOBAL_NAME = 200;

/** All opcodes of pickle protocols 0 to 5 (pickletools.py of CPython 3.11): a refused one is called by its name. */
const OPCODE_NAMES = new Map('73:INT,74:BININT,75:BININT1,77:BININT2,76:LONG,138:LONG1,139:LONG4,83:STRING,84:BINSTRING,85:SHORT_BINSTRING,66:BINBYTES,67:SHORT_BINBYTES,142:BINBYTES8,150:BYTEARRAY8,151:NEXT_BUFFER,152:READONLY_BUFFER,78:NONE,136:NEWTRUE,137:NEWFALSE,86:UNICODE,140:SHORT_BINUNICODE,88:BINUNICODE,141:BINUNICODE8,70:FLOAT,71:BINFLOAT,93:EMPTY_LIST,97:APPEND,101:APPENDS,108:LIST,41:EMPTY_TUPLE,116:TUPLE,133:TUPLE1,134:TUPLE2,135:TUPLE3,125:EMPTY_DICT,100:DICT,115:SETITEM,117:SETITEMS,143:EMPTY_SET,144:ADDITEMS,145:FROZENSET,48:POP,50:DUP,40:MARK,49:POP_MARK,103:GET,104:BINGET,106:LONG_BINGET,112:PUT,113:BINPUT,114:LONG_BINPUT,148:MEMOIZE,130:EXT1,131:EXT2,132:EXT4,99:GLOBAL,147:STACK_GLOBAL,82:REDUCE,98:BUILD,105:INST,111:OBJ,129:NEWOBJ,146:NEWOBJ_EX,128:PROTO,46:STOP,149:FRAME,80:PERSID,81:BINPERSID'
  .split(',').map((pair) => [Number(pair.split(':')[0]), pair.split(':')[1]]));

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const isKey = (value: PickleValue): value is PickleKey => value === null || typeof value !== 'object';

/**
 * Reads one pickle of protocol 2, the one that torch.save writes, and executes nothing: it knows numbers, texts, tuples, lists,
 * dictionaries, and the globals and persistent ids that `rules` describes.
 * @param start where in `bytes` the pickle begins
 * @returns its value and where it ends. The value may hold the same list or dictionary in several places, even inside of itself.
 * @throws what `rules.refuse` and `rules.forbid` throw
 */
export function readPickle(bytes: Uint8Array, start: number, rules: PickleRules): { value: PickleValue; end: number } {
  const { refuse, forbid } = rules;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const stack: PickleValue[] = [], marks: number[] = [], memo = new Map<number, PickleValue>();
  let at = start, opcodeAt = start, opcode = 0;

  const nameOf = (code: number): string => OPCODE_NAMES.get(code) ?? `0x${code.toString(16).padStart(2, '0')}`;
  const bad = (what: string): never => refuse(`its pickle ${what} (opcode ${nameOf(opcode)} at byte ${opcodeAt})`);
  const take = (length: number): number => {
    if (at + length > bytes.length) bad(`asks for ${length} bytes where ${bytes.length - at} are left`);
    return (at += length) - length;
  };
  const text = (length: number): string => {
    const from = take(length);
    try {
      return UTF8.decode(bytes.subarray(from, at));
    } catch {
      return bad('has a text that is no UTF-8');
    }
  };
  const push = (value: PickleValue): void => {
    if (stack.push(value) > MAX_STACK) bad(`stacks more than ${MAX_STACK} values`);
  };
  const floor = (): number => marks.at(-1) ?? 0;
  const pop = (): PickleValue => (stack.length > floor() ? stack.pop()! : bad('takes a value where none is'));
  const top = (): PickleValue => (stack.length > floor() ? stack[stack.length - 1] : bad('takes a value where none is'));
  const popMark = (): PickleValue[] => stack.splice(marks.pop() ?? bad('closes a mark that it did not open'));
  const put = (index: number): void => {
    memo.set(index, top());
    if (memo.size > MAX_MEMO) bad(`remembers more than ${MAX_MEMO} values`);
  };
  const get = (index: number): void => {
    const value = memo.get(index);
    if (value === undefined) return bad(`recalls value ${index}, which it did not remember`);
    push(value);
  };
  const append = (values: PickleValue[]): void => {
    const list = top();
    if (!Array.isArray(list)) return bad('appends to what is no list');
    for (const value of values) list.push(value);
  };
  const set = (pairs: PickleValue[]): void => {
    const dictionary = top();
    if (!(dictionary instanceof Map) || pairs.length % 2 === 1) return bad('sets an item of what is no dictionary');
    for (let i = 0; i < pairs.length; i += 2) {
      const key = pairs[i];
      if (!isKey(key)) return bad('has a dictionary whose key is neither text nor number');
      dictionary.set(key, pairs[i + 1]);
    }
  };
  const line = (): string => {
    const newline = bytes.subarray(at, at + MAX_GLOBAL_NAME + 1).indexOf(10);
    if (newline < 0) return bad('has a name that does not end');
    const found = text(newline);
    at++;
    return found;
  };
  const popTuple = (): readonly PickleValue[] => {
    const tuple = pop();
    return tuple instanceof PickleTuple ? tuple.items : bad('calls with arguments that are no tuple');
  };
  const popGlobal = (): PickleGlobal => {
    const global = pop();
    return global instanceof PickleGlobal ? global : bad('calls what is no global');
  };

  for (let opcodes = 0; ; opcodes++) {
    opcodeAt = at;
    if (at >= bytes.length) return refuse('its pickle is cut off');
    opcode = bytes[at++];
    if (opcodes >= MAX_OPCODES) bad(`has more than ${MAX_OPCODES} opcodes`);
    switch (nameOf(opcode)) {
      case 'PROTO': {
        const protocol = bytes[take(1)];
        if (protocol !== 2) forbid(`its pickle has protocol ${protocol}, only 2 is read`);
        break;
      }
      case 'STOP':
        if (stack.length !== 1 || marks.length > 0) bad(`ends with ${stack.length} values in place of one`);
        return { value: stack[0], end: at };
      case 'NONE': push(null); break;
      case 'NEWTRUE': push(true); break;
      case 'NEWFALSE': push(false); break;
      case 'BININT': push(view.getInt32(take(4), true)); break;
      case 'BININT1': push(bytes[take(1)]); break;
      case 'BININT2': push(view.getUint16(take(2), true)); break;
      case 'BINFLOAT': push(view.getFloat64(take(8), false)); break;
      case 'LONG1': {
        const length = bytes[take(1)], from = take(length);
        push(wholeNumber(bytes.subarray(from, at)));
        break;
      }
      case 'BINUNICODE': push(text(view.getUint32(take(4), true))); break;
      case 'BINSTRING': push(text(view.getUint32(take(4), true))); break; // Python 2's texts
      case 'SHORT_BINSTRING': push(text(bytes[take(1)])); break;
      case 'EMPTY_LIST': push([]); break;
      case 'APPEND': append([pop()]); break;
      case 'APPENDS': append(popMark()); break;
      case 'EMPTY_DICT': push(new Map()); break;
      case 'SETITEM': {
        const value = pop();
        set([pop(), value]);
        break;
      }
      case 'SETITEMS': set(popMark()); break;
      case 'EMPTY_TUPLE': push(new PickleTuple([])); break;
      case 'TUPLE': push(new PickleTuple(popMark())); break;
      case 'TUPLE1': case 'TUPLE2': case 'TUPLE3': {
        const items = Array.from({ length: opcode - 0x84 }, pop).reverse();
        push(new PickleTuple(items));
        break;
      }
      case 'MARK':
        if (marks.push(stack.length) > MAX_MARKS) bad(`nests more than ${MAX_MARKS} containers`);
        break;
      case 'BINPUT': put(bytes[take(1)]); break;
      case 'LONG_BINPUT': put(view.getUint32(take(4), true)); break;
      case 'BINGET': get(bytes[take(1)]); break;
      case 'LONG_BINGET': get(view.getUint32(take(4), true)); break;
      case 'GLOBAL': {
        const name = `${line()}.${line()}`;
        push(rules.globals.get(name) ?? forbid(`its pickle asks for the global ${JSON.stringify(name)}`));
        break;
      }
      case 'REDUCE': {
        const args = popTuple(), global = popGlobal();
        if (!global.reduce) return forbid(`its pickle calls the global '${global.name}'`);
        const made = global.reduce(args);
        push(made === undefined ? bad(`calls '${global.name}' with arguments that it does not take`) : made);
        break;
      }
      case 'NEWOBJ': {
        const args = popTuple(), global = popGlobal();
        if (!global.create || args.length > 0) return forbid(`its pickle makes a new '${global.name}'`);
        push(global.create());
        break;
      }
      case 'BUILD': {
        const state = pop(), object = top();
        const isAttributes = object instanceof Map && state instanceof Map; // e.g. `_metadata` of a state dictionary: of no use here
        if (!isAttributes && !(object instanceof PickleObject && object.setState(state))) bad('gives a state to what takes none');
        break;
      }
      case 'BINPERSID': push(rules.persistent(pop()) ?? bad('has a persistent id that is no storage')); break;
      default: forbid(`its pickle has the opcode ${nameOf(opcode)} at byte ${opcodeAt}`);
    }
  }
}

/** A little-endian two's complement number of any length; a bigint where a number would not be exact. */
function wholeNumber(bytes: Uint8Array): number | bigint {
  let value = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]);
  value = BigInt.asIntN(8 * bytes.length, value);
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
}
