import { spawn } from 'node:child_process';
import { UserError } from '../../errors.js';

/** What bytes are, so that xz knows what to expect: `code` is machine code of x86-64, `floats` are 32-bit numbers. */
export type Contents = 'code' | 'floats' | 'text';

/**
 * The filters of xz. Machine code: jumps as absolute addresses first. Float32: the position in groups of 4 bytes tells what a byte is.
 * @param preset 0 (quick) to 9 (small)
 */
function filters(contents: Contents, preset: number): string[] {
  const lzma = `--lzma2=preset=${preset}`;
  return { code: ['--x86', `${lzma},lc=4`], floats: [`${lzma},lc=2,lp=2,pb=2`], text: [lzma] }[contents];
}

/**
 * Compresses with the machine's xz. Compressed pieces, one behind the other, are together a file of xz.
 * @param preset 0 (quick) to 9 (small, needs 0.7 GB of memory)
 * @throws UserError where there is no xz, or it fails
 */
export function compressXz(pieces: readonly Uint8Array[], contents: Contents, preset: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const xz = spawn('xz', ['--stdout', '--format=xz', '--check=crc64', '--threads=1', ...filters(contents, preset)], { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, XZ_OPT: '', XZ_DEFAULTS: '' } });
    const out: Buffer[] = [];
    let errors = '';
    xz.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    xz.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
    xz.stdin.on('error', () => {}); // it ended early; 'close' says why
    xz.once('error', () => reject(new UserError("xz doesn't start: install it (Debian: apt install xz-utils), then bundle again")));
    xz.once('close', (code, signal) => (code === 0 ? resolve(Buffer.concat(out)) : reject(new UserError(`xz ended with ${signal ?? `exit code ${code}`}${errors.trim() === '' ? '' : ` (${errors.trim().split('\n')[0]})`}: it needs 0.7 GB of free memory`))));
    for (const piece of pieces) xz.stdin.write(piece); // they are in memory anyway
    xz.stdin.end();
  });
}
