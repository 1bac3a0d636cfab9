import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { parseRunSummary } from '../../src/training/run-record.js';
import { qdetr } from './command-line.js';

const folder = mkdtempSync(path.join(tmpdir(), 'qdetr-start-'));
const runs = path.join(folder, 'runs'), out = path.join(folder, 'figures');
test.after.always(() => rmSync(folder, { recursive: true, force: true }));
const start = (args: readonly string[] = [], interruptAt?: RegExp) => qdetr(['start', '--scale', 'smoke', '--runs', runs, '--out', out, ...args], interruptAt);

/** A file of every run, by the run's id. */
const ofRuns = (file: string): Record<string, string> => Object.fromEntries(readdirSync(runs).filter((id) => existsSync(path.join(runs, id, file))).map((id) => [id, readFileSync(path.join(runs, id, file), 'utf8')]));

const QUANTIZED = ['Baseline', '+ DA', '+ DA + FQM (Q-DETR)', 'Q-DETR, same slot'];

test.serial('Ctrl-C: stops at a safe point with exit code 130, draws no figure of nothing, and says how to go on', async (t) => {
  const { code, stdout, stderr } = await start([], /start: 0 of 5 cells done/);
  t.is(code, 130, stdout + stderr);
  t.regex(stderr, /stopping all cells after their step …/);
  t.regex(stdout, /0 of 5 cells done in .*\.\n5 cells stopped or not begun\. The same command goes on from there\.\n$/);
  t.false(existsSync(out));
});

test.serial('started again: five runs with summaries, figures and what to do next', async (t) => {
  const { code, stdout, stderr } = await start();
  t.is(code, 0, stdout + stderr);
  const summaries = Object.entries(ofRuns('summary.json')).map(([id, text]) => parseRunSummary(JSON.parse(text), id)).filter(({ experiment }) => experiment.startsWith('start/'));
  t.deepEqual(summaries.map(({ method, bits }) => `${method} ${bits}`).sort(), ['Real-valued 32-32-32', ...QUANTIZED.map((method) => `${method} 2-2-8`)].sort());
  for (const { method, evaluations, informationPlane, scope, distillation, distillationRatio, teacher } of summaries) {
    t.is(scope, 'transformer', method);
    t.deepEqual([...new Set(evaluations.map(({ split }) => split))].sort(), ['test', 'test-unseen', 'val'], method);
    t.is(informationPlane.length, 2, `${method}: a point after each of its two evaluations`);
    const isDistilled = method.includes('Q-DETR');
    t.is(distillationRatio !== undefined && distillationRatio.every(({ ratio }) => ratio > 0), isDistilled, method);
    if (isDistilled) t.is(distillation?.matching, method === 'Q-DETR, same slot' ? 'same-slot' : 'literal');
    t.is(typeof teacher === 'string', isDistilled, method);
  }
  for (const figure of ['table-2.2', 'figure-2.12a', 'figure-2.12b'])
    for (const ending of ['vl.json', 'svg', 'png']) t.true(statSync(path.join(out, `${figure}.${ending}`)).size > 1000, `${figure}.${ending}`);
  const table = readFileSync(path.join(out, 'table-2.2.md'), 'utf8');
  for (const said of ['smoke', ...QUANTIZED]) t.true(table.includes(said), said);
  for (const said of [/on MiniVOC 64 px with a small DETR, scale smoke/, /Real-valued, 32-32-32 .*83\.3/, /table-2\.2\.md/, /figure-2\.12a\.png/, /figure-2\.12b\.png/, /JupyterLab/, /--set seed=1/]) t.regex(stdout, said);
});

test.serial('a second start reuses all of it, says why, trains nothing and draws the same figures', async (t) => {
  const [logs, summaries, figures] = [ofRuns('metrics.jsonl'), ofRuns('summary.json'), readFileSync(path.join(out, 'table-2.2.json'), 'utf8')];
  const { code, stdout, stderr } = await start();
  t.is(code, 0, stderr);
  t.is(stdout.match(/of start\/\S+ is reused: source, settings, data, lock file and engine are unchanged/g)?.length, 5, stdout);
  t.is(stdout.match(/\(there already\)/g)?.length, 5, stdout);
  t.deepEqual([ofRuns('metrics.jsonl'), ofRuns('summary.json')], [logs, summaries]);
  t.is(readFileSync(path.join(out, 'table-2.2.json'), 'utf8'), figures);
});

test.serial('--fresh trains all of it again to the same lines and weights', async (t) => {
  const logs = ofRuns('metrics.jsonl');
  const weights = (): string[] => Object.values(ofRuns('LAST')).map((text) => (JSON.parse(text) as { checkpoints: { sha256: string }[] }).checkpoints[0].sha256);
  const before = weights();
  const { code, stdout, stderr } = await start(['--fresh']);
  t.is(code, 0, stderr);
  t.notRegex(stdout, /of start\/\S+ is reused|there already/);
  t.deepEqual(ofRuns('metrics.jsonl'), logs);
  t.deepEqual(weights(), before);
});

test.serial('a changed setting makes runs beside those that are there, and the setting is named', async (t) => {
  const before = readdirSync(runs).length;
  const { code, stdout } = await start(['--set', 'steps=3', 'warmUpSteps=1', 'evaluationInterval=3']);
  t.is(code, 0);
  t.regex(stdout, /Baseline 2-2-8: run \w{12} of start\/baseline-2-2-8 is not reused: settings changed \(.*training\.steps: 8 -> 3/);
  t.is(readdirSync(runs).length, before + 7, 'five cells, the real-valued student and its backbone');
});

for (const [args, message] of [
  [['--set', 'stepps=3'], "error: --set stepps=3: 'stepps' is unknown, did you mean 'steps'?"],
  [['--set', 'steps=many'], "error: --set: 'steps' should be a whole number of at least 1, but is \"many\": change it and start again"],
  [['--set', 'seed=x'], "error: --set: 'seed' should be a whole number of at least 0, but is \"x\": change it and start again"],
  [['--scale', 'paper'], "error: option '--scale <scale>' argument 'paper' is invalid. Allowed choices are smoke, minutes: see 'npx qdetr start --help'"],
] as const) {
  test.serial(`start ${args.join(' ')}: one line, exit code 1, nothing written`, async (t) => {
    const unused = path.join(folder, 'unused');
    const { code, stdout, stderr } = await start([...args, '--runs', unused, '--out', unused]);
    t.deepEqual([code, stdout, stderr], [1, '', `${message}\n`]);
    t.false(existsSync(unused));
  });
}
