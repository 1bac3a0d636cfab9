import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import test from 'ava';

/** A pool whose threads answer while they are being ended; a process that ends in the middle of an `await` has exit code 13. */
const CLOSING = `
import { decodePool } from './src/data/decode-pool.js';
const pool = decodePool(2), ask = () => pool.decode({ file: 'nowhere.jpg', width: 4, height: 4, plan: {} }).catch((error) => error.message);
const [reason] = await Promise.all([ask(), ask()]);
for (let i = 0; i < 4; i++) void ask();
for (const end = Date.now() + 200; Date.now() < end;); // their answers lie in the queue
await pool.close();
console.log(reason, '|', await ask());
`;

test('a pool is closed before the process ends, also when answers arrive at that moment', async (t) => {
  const { stdout } = await promisify(execFile)(process.execPath, ['--import=tsx', '--input-type=module', '--eval', CLOSING]);
  t.regex(stdout, /nowhere\.jpg.* \| the threads that decode images have ended: open the data set again\n$/);
});
