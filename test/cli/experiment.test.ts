import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { main } from '../../src/cli/main.js';
import { GridProgress, gridLine } from '../../src/cli/grid-progress.js';
import type { PoolState } from '../../src/cli/cell-pool.js';
import { EXPERIMENTS, experimentNamed } from '../../src/experiments/experiments.js';
import { initialDetectorParameters } from '../../src/models/initial-parameters.js';
import { modelOf } from '../../src/models/settings.js';
import { writeParameters } from '../../src/tensor/parameter-file.js';
import { RandomStream } from '../../src/tensor/random.js';
import { parseRunSummary } from '../../src/training/run-record.js';
import { qdetr } from './command-line.js';

const folder = mkdtempSync(path.join(tmpdir(), 'qdetr-experiment-command-'));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));
const runs = path.join(folder, 'runs'), out = path.join(folder, 'figures');

test.serial('two cells, stopped, taken up again, then found finished; a table and figures at the end', async (t) => {
  const args = ['experiment', 'table-2.2', '--scale', 'smoke', '--seeds', '2', '--only', 'Real-valued', '--processes', '2', '--set', 'steps=2', 'warmUpSteps=1', 'evaluationInterval=2', '--runs', runs, '--out', out];
  const stopped = await qdetr(args, /0 of 2 cells done, 1 running/);
  t.is(stopped.code, 130, stopped.stderr);
  t.regex(stopped.stdout, /\n0 of 2 cells done in .*\n2 cells stopped or not begun\. The same command goes on from there\.\n$/);
  const { code, stdout, stderr } = await qdetr(args);
  t.is(code, 0, stderr);
  t.regex(stdout, /\nReal-valued, 32-32-32 +83\.3 +\d+\.\d ± \d+\.\d \(2 seeds\) +\d+\.\d ± \d+\.\d \(2 seeds\)\n/);
  t.regex(stdout, /\n2 of 2 cells done in /);
  t.true(readFileSync(path.join(out, 'table-2.2.md'), 'utf8').includes('npx qdetr experiment table-2.2 --scale smoke --seeds 2 --set steps=2'));
  const there = readdirSync(runs).sort();
  const again = await qdetr(args);
  t.is(again.code, 0, again.stderr);
  t.is(again.stdout.match(/\(there already\)/g)?.length, 2);
  t.deepEqual(readdirSync(runs).sort(), there);
});

test.serial('--list names every experiment and what it answers; --dry-run its cells and settings, and writes nothing', async (t) => {
  const listed = await qdetr(['experiment', '--list']);
  for (const { name, answers } of EXPERIMENTS) t.true(listed.stdout.includes(`  ${name} `) && listed.stdout.includes(answers), name);
  const unused = path.join(folder, 'unused');
  const { code, stdout, stderr } = await qdetr(['experiment', 'figure-2.12a', '--scale', 'minutes', '--seeds', '2', '--bits', '2-2-8', '--set', 'steps=77', '--runs', unused, '--dry-run']);
  t.deepEqual([code, stderr], [0, '']);
  for (const line of experimentNamed('figure-2.12a').protocol) t.true(stdout.includes(`* ${line}\n`));
  t.regex(stdout, /: 22 cells, \d+ process(es)? side by side, one thread each:\n {2}bits +2-2-8\n[\s\S]*\n {2}\+ DA, 2-2-8, seed 0 +-/);
  t.regex(stdout, /\n {2}steps +77\n/);
  t.false(existsSync(unused));
});

for (const [args, message] of [
  [['tabel-2.2'], "error: experiment 'tabel-2.2' is unknown, did you mean 'table-2.2'? 'npx qdetr experiment --list' says what each answers"],
  [['table-2.2', '--seeds', '0'], 'error: --seeds 0: should be a whole number of at least 1'],
  [['table-2.2', '--processes', 'two'], 'error: --processes two: should be a whole number of at least 1'],
  [['table-2.2', '--bits', '4-4'], 'error: --bits 4-4: should be weights-activations-attention, such as 4-4-8'],
  [['table-2.2', '--bits', '9'], 'error: --bits 9: should be weights-activations-attention, such as 4-4-8'],
  [['table-2.2', '--bits', '4-4-8', '9-9-8'], "error: --bits 9-9-8: bit-width 9 can't be quantized to: choose 2 to 8"],
  [['table-2.2', '--bits', '1-1-8'], "error: --bits 1-1-8: bit-width 1 can't be quantized to: choose 2 to 8"],
  [['table-2.2', '--bits', '3-3-9'], "error: --bits 3-3-9: bit-width 9 can't be quantized to: choose 2 to 8"],
  [['table-2.2', '--bits', '32-32-32'], 'error: --bits 32-32-32: quantized cells have 2 to 8 bits everywhere; the real-valued cell is there anyway'],
  [['table-2.2', '--set', 'seed=3'], 'error: --set seed: an experiment has several seeds: choose how many with --seeds'],
  [['table-2.2', '--set', 'steps=0'], "error: --set: 'steps' should be a whole number of at least 1, but is 0: change it and start again"],
  [['table-2.2', '--only', 'nothing'], "error: --only nothing: no cell of table-2.2 has this in its name, such as 'Real-valued, 32-32-32, seed 0': --dry-run prints all names"],
] as const) {
  test.serial(`experiment ${args.join(' ')}: one line, exit code 1`, async (t) => {
    const lines: string[] = [], original = console.error;
    console.error = (line: string) => void lines.push(line);
    try {
      t.deepEqual([await main(['experiment', ...args]), lines], [1, [message]]);
    } finally {
      console.error = original;
    }
  });
}

test.serial('a bad teacher is one sentence, before anything is trained, also with --dry-run; what no cell has is refused', async (t) => {
  const unused = path.join(folder, 'unused'), file = path.join(folder, 'narrow.safetensors');
  writeParameters(file, initialDetectorParameters(modelOf('smoke'), new RandomStream(1)));
  for (const [args, message] of [
    [['table-2.2', '--teacher', file], `error: --teacher ${file}: the teacher has modelWidth 32 where the student has 64: choose a teacher of that width, or distil through a linear map (--distillation feature=linear-map)\n`],
    [['table-2.2', '--teacher', file, '--dry-run'], `error: --teacher ${file}: the teacher has modelWidth 32 where the student has 64: choose a teacher of that width, or distil through a linear map (--distillation feature=linear-map)\n`],
    [['table-2.2', '--teacher', file, '--distillation', 'feature=linear-map', '--start', 'teacher'], `error: --teacher ${file}: the teacher has modelWidth 32 where the student has 64, so no student can start from its transformer: choose --start own or --start fresh, or a teacher with 64\n`],
    [['table-2.2', '--teacher', 'nowhere'], "error: --teacher nowhere: should be shipped, own, a run's id (12 hexadecimal digits) or a .safetensors file\n"],
    [['figure-2.11', '--teacher', 'own'], 'error: --teacher own: no cell of figure-2.11 has a teacher: leave it out\n'],
    [['figure-2.11', '--distillation', 'tau=0.4'], 'error: --distillation tau=0.4: no cell of figure-2.11 has a distillation: leave it out\n'],
    [['figure-2.11', '--alignment', 'places=co-attention.k'], 'error: --alignment places=co-attention.k: no cell of figure-2.11 has a distribution alignment: leave it out\n'],
  ] as const) t.deepEqual(await qdetr(['experiment', ...args, '--runs', unused, '--out', unused]), { code: 1, stdout: '', stderr: message });
  t.false(existsSync(unused));
  const { code, stdout } = await qdetr(['experiment', 'table-2.2', '--teacher', file, '--distillation', 'feature=linear-map', 'tau=0.4', '--only', '+ FQM, 2-2-8', '--runs', unused, '--dry-run']);
  t.is(code, 0);
  t.regex(stdout, /: 1 cell, 1 process side by side[\s\S]*\n {2}teacher +narrow\.safetensors\n[\s\S]*\n {2}feature +linear-map\n[\s\S]*\n {2}\+ FQM \(feature linear-map, tau 0\.4, teacher narrow\.safetensors\), 2-2-8, lambda 2\.5, seed 0\n/);
});

test('--alignment changes decision A10 in the cells that have DA, and the command that makes them says so', async (t) => {
  const { code, stdout, stderr } = await qdetr(['experiment', 'table-2.2', '--alignment', 'places=co-attention.k', '--bits', '2-2-8', '--only', '+ DA, 2-2-8', 'Baseline', '--dry-run']);
  t.is(code, 0, stderr);
  t.regex(stdout, /\nnpx qdetr experiment table-2\.2 --scale minutes --seeds 1 --bits 2-2-8 --alignment places=co-attention\.k: 2 cells/);
  t.regex(stdout, /\n {2}Baseline, 2-2-8, seed 0 +- *\n {2}\+ DA \(DA on co-attention\.k\), 2-2-8, seed 0 +co-attention\.k\n/);
});

test.serial('--policy release trains with the released code\'s quantizers and DA, and says so in names and records', async (t) => {
  const args = ['experiment', 'table-2.2', '--scale', 'smoke', '--policy', 'release', '--scope', 'transformer', '--only', 'Real-valued', '+ DA, 2-2-8', '--set', 'steps=2', 'warmUpSteps=1', 'evaluationInterval=2', '--runs', runs, '--out', out];
  const { code, stdout, stderr } = await qdetr(args);
  t.is(code, 0, stderr);
  t.regex(stdout, /\n\+ DA \(policy release\), 2-2-8 +- /, stdout);
  t.regex(stdout, /\nReal-valued, 32-32-32 +83\.3 /);
  const summaries = readdirSync(runs).map((id) => path.join(runs, id, 'summary.json')).filter((file) => existsSync(file)).map((file) => parseRunSummary(JSON.parse(readFileSync(file, 'utf8')), file));
  const { preset, alignment, quantized, command } = summaries.find(({ method }) => method === '+ DA (policy release)')!;
  t.deepEqual([preset, alignment], ['release', ['decoder-self-attention.q']]);
  t.regex(quantized!, /as the released code places quantizers/);
  t.true(command.includes('--policy release'));
  t.false(summaries.some(({ method, preset: other }) => method === 'Real-valued' && other === 'release'));
});

test.serial('table-2.2 at smoke scale fills all 13 cells of the table, each with the one seed that was trained', async (t) => {
  const place = path.join(folder, 'all');
  const { code, stdout, stderr } = await qdetr(['experiment', 'table-2.2', '--scale', 'smoke', '--runs', path.join(place, 'runs'), '--out', place, '--set', 'steps=1', 'warmUpSteps=1', 'evaluationInterval=1']);
  t.is(code, 0, `${stdout}${stderr}`);
  t.regex(stdout, /\n13 of 13 cells done in /);
  interface Column { test: { mean: number; n: number }; testUnseen: { mean: number; n: number }; seeds: number[] }
  const { columns, cells } = JSON.parse(readFileSync(path.join(place, 'table-2.2.json'), 'utf8')) as { columns: { fresh: { scale: string; runs: string[] } }; cells: { method: string; bits: string; fresh: Column | null }[] };
  t.deepEqual([columns.fresh.scale, new Set(columns.fresh.runs).size], ['smoke', 13]);
  t.is(new Set(cells.map(({ method, bits }) => `${method}, ${bits}`)).size, 13);
  for (const { method, bits, fresh } of cells) {
    t.deepEqual([fresh?.seeds, fresh?.test.n, fresh?.testUnseen.n], [[0], 1, 1], `${method}, ${bits}`);
    for (const { mean } of [fresh!.test, fresh!.testUnseen]) t.true(Number.isFinite(mean) && mean >= 0 && mean <= 100, `${method}, ${bits}: ${mean}`);
  }
});

test.serial('claims on the runs of a folder: text, a page and a chart; --json for programs', async (t) => {
  const plain = await qdetr(['claims', '--runs', path.join(folder, 'none'), '--out', out]);
  t.is(plain.code, 0, plain.stderr);
  t.regex(plain.stdout, /\n\d+ reproduced, \d+ not reproduced, \d+ undecided\.\n\nWritten: .*claims\.png/);
  t.true(readFileSync(path.join(out, 'claims.md'), 'utf8').includes('| Claim | Where |'));
  const { code, stdout } = await qdetr(['claims', '--runs', path.join(folder, 'none'), '--json']);
  t.is(code, 0);
  t.true((JSON.parse(stdout) as { id: string }[]).some(({ id }) => id === 'order-2-2-8'));
});

/** A grid's state from numbers: finished and found finished, failed, fractions of the running ones, left, held. */
const state = (finished: number, reused: number, failed: number, running: number[], left: number, held = 0): PoolState => {
  const [cell] = experimentNamed('table-2.2').grid({ family: 'detr', scale: 'smoke', seeds: [0] });
  const ended = (count: number, isReused: boolean) => Array.from({ length: count }, () => ({ cell, state: 'finished' as const, reused: isReused, folder: '', summary: {} as never, seconds: 1 }));
  return { outcomes: [...ended(finished, false), ...ended(reused, true), ...Array.from({ length: failed }, () => ({ cell, state: 'failed' as const, message: '' }))], running, left, held };
};

test('the line of a grid: the time left at the pace of the cells that were performed, those found finished aside', (t) => {
  t.is(gridLine('g', state(0, 0, 0, [0, 0], 11), 5), 'g: 0 of 13 cells done, 2 running, 11 left');
  t.is(gridLine('g', state(2, 3, 0, [0.5, 0.5], 6), 30), 'g: 5 of 13 cells done, 2 running, 6 left, 1 min 10 s left'); // 3 cells in 30 s, 7 remain
  t.is(gridLine('g', state(2, 0, 1, [], 3, 2), 20), 'g: 2 of 6 cells done, 3 left, 2 waiting for a run that another process trains, 1 failed, 30 s left');
  t.is(gridLine('g', state(6, 0, 0, [], 0), 20), 'g: 6 of 6 cells done');
});

test('on a terminal the line is rewritten, and cleared for other lines; elsewhere it is written now and then', (t) => {
  const texts: string[] = [], stream = { isTTY: true, columns: 60, write: (text: string) => texts.push(text) };
  const progress = new GridProgress('g', stream);
  progress.update(state(0, 0, 0, [0], 3));
  progress.update(state(1, 0, 0, [0], 2));
  t.deepEqual(texts, ['\rg: 0 of 4 cells done, 1 running, 3 left']);
  progress.clear();
  t.is(texts[1], `\r${' '.repeat(39)}\r`);
  progress.update(state(1, 0, 0, [0], 2));
  t.regex(texts[2], /^\rg: 1 of 4 cells done/);
  const plain: string[] = [], log = new GridProgress('g', { write: (text) => plain.push(text) });
  for (let i = 0; i < 3; i++) log.update(state(0, 0, 0, [0], 3));
  log.clear();
  t.deepEqual(plain, ['g: 0 of 4 cells done, 1 running, 3 left\n']);
});
