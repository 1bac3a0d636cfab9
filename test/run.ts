/**
 * `npm test`: type check, ESLint and the whole suite. `npm test -- test/quantizer` runs the tests that are named, and those alone.
 * The last line is `N passed, N failed`; the type check and ESLint count as a test each.
 */
import { spawn } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import readline from 'node:readline';
import { TapReader, closingLine } from './tap.js';

interface Finished { code: number; output: string }

/** Runs a Node script; its output goes to `onLine` as it comes, or is kept. */
function node(args: string[], onLine?: (line: string) => void): Promise<Finished> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', onLine ? 'inherit' : 'pipe'] });
    let output = '';
    if (onLine) readline.createInterface({ input: child.stdout! }).on('line', onLine);
    else for (const stream of [child.stdout, child.stderr]) stream!.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.on('close', (code) => resolve({ code: code ?? 1, output }));
  });
}

/** What was asked for, less files that are no tests: a shell's `test/training/**` names those as well. */
const selection = process.argv.slice(2).filter((word) => word.endsWith('.test.ts') || !existsSync(word) || statSync(word).isDirectory());
const tap = new TapReader();

if (selection.length === 0) {
  const checks = [
    { title: 'type check', run: node(['node_modules/typescript/bin/tsc', '--noEmit']) },
    { title: 'ESLint', run: node(['node_modules/eslint/bin/eslint.js', '--config', 'test/eslint.config.mjs', '--max-warnings', '0', 'src', 'test']) },
  ];
  for (const { title, run } of checks) {
    const { code, output } = await run;
    console.log(tap.read(`${code === 0 ? 'ok' : 'not ok'} 1 - ${title}`));
    if (code !== 0) console.log(output.trimEnd());
  }
}

const checked = tap.count.passed + tap.count.failed, failedChecks = tap.count.failed;
const concurrency = Math.max(1, Math.min(availableParallelism(), 8));
const { code } = await node(['node_modules/ava/entrypoints/cli.mjs', '--tap', `--concurrency=${concurrency}`, ...selection], (line) => {
  const text = tap.read(line);
  if (text !== null) console.log(text);
});
const ran = tap.count.passed + tap.count.failed + tap.count.skipped - checked;
if (ran === 0) console.log(tap.read(`not ok 1 - ${selection.length > 0 ? `no test matches ${selection.join(' ')}` : 'there are no tests'}`));
else if (code !== 0 && tap.count.failed === failedChecks) console.log(tap.read(`not ok 1 - ava ended with exit code ${code}`));

if (tap.failures.length > 0) console.log(`\nFailed:\n${tap.failures.map((title) => `  ✘ ${title}`).join('\n')}`);
console.log(`\n${closingLine(tap.count)}`);
process.exitCode = tap.count.failed > 0 ? 1 : 0;
