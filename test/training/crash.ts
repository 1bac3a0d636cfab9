/** Ends the program's life, as far as files are concerned, at any file operation. */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const OPERATIONS = ['openSync', 'writeSync', 'fsyncSync', 'renameSync', 'ftruncateSync', 'rmSync', 'mkdirSync'] as const;
type Operation = (...args: unknown[]) => unknown;

/**
 * Runs `program` and lets it die before its n-th operation that changes files (counted from 0); half of what it was writing then
 * gets written. Like a killed process it changes nothing afterwards.
 * @returns whether it died; otherwise it came to its end
 */
export function diesAt(n: number, program: () => void): boolean {
  const table = fs as unknown as Record<string, Operation>;
  const originals = Object.fromEntries(OPERATIONS.map((name) => [name, table[name]]));
  let left = n;
  for (const name of OPERATIONS) {
    table[name] = (...args) => {
      if (left === 0 && name === 'writeSync') originals.writeSync(args[0], Buffer.from(args[1] as Uint8Array).subarray(0, (args[1] as Uint8Array).length >> 1));
      if (left-- <= 0) throw new Error('killed');
      return originals[name](...args);
    };
  }
  syncBuiltinESMExports();
  try {
    program();
  } catch (error) {
    if (left >= 0) throw error;
  } finally {
    Object.assign(table, originals);
    syncBuiltinESMExports();
  }
  return left < 0;
}
