import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import type { Command } from 'commander';
import { commands, main } from '../../src/cli/main.js';
import { UserError } from '../../src/errors.js';

const known = {
  train: async () => (program: Command) => {
    program.command('train').description('trains').option('--seed <n>', 'seed').argument('<file>').action((file: string) => {
      if (file === 'user') throw new UserError('run.json: seed is missing:\nset it');
      throw new Error('a tensor leaked');
    });
  },
  data: async () => (program: Command) => {
    program.command('data').command('export').requiredOption('--out <folder>').action(() => {});
  },
};

/** What a command line prints on stderr, and its exit code. */
async function run(...args: string[]): Promise<{ code: number; lines: string[] }> {
  const lines: string[] = [];
  const original = console.error;
  console.error = (line: string) => void lines.push(line);
  try {
    return { code: await main(args, known), lines };
  } finally {
    console.error = original;
  }
}

test.serial('a mistake of the user is one line, and exit code 1', async (t) => {
  t.deepEqual(await run('train', 'user'), { code: 1, lines: ['error: run.json: seed is missing: set it'] });
});

test.serial('a fault of the program says how to see where', async (t) => {
  t.deepEqual(await run('train', 'x'), { code: 1, lines: ['error: a tensor leaked', 'This is a fault of the program, not yours: QDETR_DEBUG=1 shows where it happened.'] });
});

test.serial('QDETR_DEBUG=1 shows the stack', async (t) => {
  process.env.QDETR_DEBUG = '1';
  const { code, lines } = await run('train', 'x');
  delete process.env.QDETR_DEBUG;
  t.is(code, 1);
  t.regex(lines.join('\n'), /a tensor leaked\n +at .*main\.test\.ts/);
});

test.serial('what the command line does not know is named, with the nearest thing that it does', async (t) => {
  const cases: [string[], string][] = [
    [['trian'], "error: unknown command 'trian', did you mean 'train'? See 'npx qdetr --help'"],
    [['train', 'f', '--sed', '3'], "error: unknown option '--sed', did you mean '--seed'? See 'npx qdetr train --help'"],
    [['train'], "error: missing required argument 'file': see 'npx qdetr train --help'"],
    [['train', 'a', 'b'], "error: too many arguments for 'train'. Expected 1 argument but got 2: see 'npx qdetr train --help'"],
    [['train', 'f', '--seed'], "error: option '--seed <n>' argument missing: see 'npx qdetr train --help'"],
    [['data', 'exprot'], "error: unknown command 'exprot', did you mean 'export'? See 'npx qdetr data --help'"],
    [['data', 'export'], "error: required option '--out <folder>' not specified: see 'npx qdetr data export --help'"],
    [['__proto__'], "error: unknown command '__proto__': see 'npx qdetr --help'"],
  ];
  for (const [args, line] of cases) t.deepEqual(await run(...args), { code: 1, lines: [line] }, args.join(' '));
});

test.serial('a command that needs a second word shows its help, as an error', async (t) => {
  const written: string[] = [];
  const original = process.stderr.write.bind(process.stderr);
  process.stderr.write = (text: string | Uint8Array) => written.push(String(text)) > 0;
  try {
    t.deepEqual(await run('data'), { code: 1, lines: [] });
  } finally {
    process.stderr.write = original;
  }
  t.regex(written.join(''), /^Usage: qdetr data /);
});

test('every file in src/cli that exports a command is in the list', (t) => {
  const files = readdirSync('src/cli').filter((file) => file.endsWith('.ts') && /export function \w+Command\(program: Command\)/.test(readFileSync(path.join('src/cli', file), 'utf8')));
  t.deepEqual(Object.keys(commands).sort(), files.map((file) => file.replace(/\.ts$/, '')).sort());
});

test('the launcher prints help, refuses other folders, and can be executed', (t) => {
  const launcher = path.resolve('src/cli/qdetr.mjs');
  const help = spawnSync(process.execPath, [launcher, '--help'], { encoding: 'utf8' });
  t.is(help.status, 0, help.stderr);
  t.regex(help.stdout, /^Usage: qdetr /);
  for (const command of Object.keys(commands)) t.true(help.stdout.includes(`\n  ${command} `), command);

  const elsewhere = spawnSync(process.execPath, [launcher, '--help'], { encoding: 'utf8', cwd: mkdtempSync(path.join(tmpdir(), 'qdetr-')) });
  t.is(elsewhere.status, 1);
  t.regex(elsewhere.stderr, /^error: qdetr runs in the project's own folder: cd .*, then start again\n$/);
  t.not(statSync(launcher).mode & 0o100, 0, 'npx needs the executable bit');
});
