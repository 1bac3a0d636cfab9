/** Ends the program's life, as far as files are concerned, at any file operation. */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const OPERATIONS = ['openSync', 'writeSync', 'fsyncSync', 'renameSync', 'ftruncateSync', 'rmSync', 'mkdirSync'] as const;
type Operation = (...args: unknown[]) => unknown;

/** An operation that is about to happen; a write can still do its first half. */
export interface FileOperation {
  name: (typeof OPERATIONS)[number];
  args: readonly unknown[];
  writeHalf(): void;
}

/**
 * Calls `before` ahead of every operation that changes files; what it throws, the program sees.
 * @returns what ends this
 */
export function interceptFiles(before: (operation: FileOperation) => void): () => void {
  const table = fs as unknown as Record<string, Operation>;
  const originals = Object.fromEntries(OPERATIONS.map((name) => [name, table[name]]));
  for (const name of OPERATIONS) {
    table[name] = (...args) => {
      const writeHalf = (): void => {
        if (name === 'writeSync') originals.writeSync(args[0], Buffer.from(args[1] as Uint8Array).subarray(0, (args[1] as Uint8Array).length >> 1));
      };
      before({ name, args, writeHalf });
      return originals[name](...args);
    };
  }
  syncBuiltinESMExports();
  return () => {
    Object.assign(table, originals);
    syncBuiltinESMExports();
  };
}

/** Lets everything that changes files fail from the n-th time on (counted from 0); half of what was being written then gets written. */
function mortal(n: number): { isDead: () => boolean; end: () => void } {
  let left = n;
  const end = interceptFiles(({ writeHalf }) => {
    if (left === 0) writeHalf();
    if (left-- <= 0) throw new Error('killed');
  });
  return { isDead: () => left < 0, end };
}

/**
 * Runs `program` and lets it die before its n-th operation that changes files (counted from 0); half of what it was writing then
 * gets written. Like a killed process it changes nothing afterwards.
 * @returns whether it died; otherwise it came to its end
 */
export function diesAt(n: number, program: () => void): boolean {
  const { isDead, end } = mortal(n);
  try {
    program();
  } catch (error) {
    if (!isDead()) throw error;
  } finally {
    end();
  }
  return isDead();
}

/** {@link diesAt} for a program that takes its time; nothing else in the process may change files meanwhile. */
export async function diesLaterAt(n: number, program: () => Promise<unknown>): Promise<boolean> {
  const { isDead, end } = mortal(n);
  try {
    await program();
  } catch (error) {
    if (!isDead()) throw error;
  } finally {
    end();
  }
  return isDead();
}
