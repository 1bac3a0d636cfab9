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
const ofRuns = (file: string): Record<string, string> => Object.fromEntries(readdirSync(runs).map((id) => [id, readFileSync(path.join(runs, id, file), 'utf8')]));

test.serial('Ctrl-C: stops after the step with a checkpoint and exit code 130, and says how to go on', async (t) => {
  const { code, stdout, stderr } = await start([], /\[2\/4\].* 1\/8 steps/);
  t.is(code, 130, stderr);
  t.regex(stderr, /stopping after this step …/);
  const [, step, stoppedIn] = /Stopped after step (\d) of this run; its checkpoint is in (\S+)\. The same command goes on from there\.\n$/.exec(stdout) ?? [];
  t.true(Number(step) >= 1 && Number(step) < 8, stdout);
  t.deepEqual(readdirSync(stoppedIn).sort(), ['LAST', 'checkpoints', 'metrics.jsonl', 'run.json', 'seconds.json']);
  t.false(existsSync(out), 'no figure of half a run');
});

test.serial('started again: goes on, leaves runs with summaries, figures and what to do next', async (t) => {
  const { code, stdout, stderr } = await start();
  t.is(code, 0, stderr);
  t.regex(stdout, /\[1\/4\] backbone on sprites: run \w{12} of start\/backbone is reused: source, settings, data, lock file and engine are unchanged\./);
  t.regex(stdout, /\[2\/4\] .*: going on from step [1-7]\./);
  const summaries = Object.entries(ofRuns('summary.json')).map(([id, text]) => parseRunSummary(JSON.parse(text), id));
  t.deepEqual(summaries.map(({ method, bits }) => `${method} ${bits}`).sort(), ['Backbone pre-training 32-32-32', 'Baseline 2-2-8', 'Real-valued 32-32-32', 'Real-valued from nothing 32-32-32']);
  for (const { method, evaluations } of summaries) if (method !== 'Backbone pre-training') t.deepEqual([...new Set(evaluations.map(({ split }) => split))].sort(), ['test', 'test-unseen', 'val'], method);
  for (const figure of ['table-2.2', 'figure-2.12a', 'figure-2.12b'])
    for (const ending of ['vl.json', 'svg', 'png']) t.true(statSync(path.join(out, `${figure}.${ending}`)).size > 1000, `${figure}.${ending}`);
  t.regex(readFileSync(path.join(out, 'table-2.2.md'), 'utf8'), /smoke/);
  for (const said of [/AP50 on MiniVOC \(minivoc-64, scale smoke; not comparable/, /Real-valued 32-32-32 .*test +\d+\.\d/, /Baseline 2-2-8 .*test +\d+\.\d/, /table-2\.2\.md/, /figure-2\.12a\.png/, /figure-2\.12b\.png/, /JupyterLab/, /--set seed=1/]) t.regex(stdout, said);
});

test.serial('a second start reuses all of it, says why, trains nothing and draws the same figures', async (t) => {
  const [logs, summaries, figures] = [ofRuns('metrics.jsonl'), ofRuns('summary.json'), readFileSync(path.join(out, 'table-2.2.json'), 'utf8')];
  const { code, stdout, stderr } = await start();
  t.is(code, 0, stderr);
  t.is(stdout.match(/is reused: source, settings, data, lock file and engine are unchanged/g)?.length, 4, stdout);
  t.notRegex(stdout + stderr, /going on|steps/);
  t.deepEqual([ofRuns('metrics.jsonl'), ofRuns('summary.json')], [logs, summaries]);
  t.is(readFileSync(path.join(out, 'table-2.2.json'), 'utf8'), figures);
});

test.serial('--fresh trains all of it again, uninterrupted, to the same lines', async (t) => {
  const logs = ofRuns('metrics.jsonl');
  const weights = (): string[] => Object.values(ofRuns('LAST')).map((text) => (JSON.parse(text) as { checkpoints: { sha256: string }[] }).checkpoints[0].sha256);
  const before = weights();
  const { code, stdout, stderr } = await start(['--fresh']);
  t.is(code, 0, stderr);
  t.notRegex(stdout, /is reused|going on/);
  t.is(stderr.match(/(4\/4|8\/8) steps/g)?.length, 4, stderr);
  t.deepEqual(ofRuns('metrics.jsonl'), logs);
  t.deepEqual(weights(), before);
});

test.serial('a changed setting makes runs beside those that are there, and the setting is named', async (t) => {
  const { code, stdout } = await start(['--set', 'steps=3', 'warmUpSteps=1'], /\[1\/4\].* 1\/3 steps/);
  t.is(code, 130);
  t.regex(stdout, /start\/backbone is not reused: settings changed \(training\.steps: 4 -> 3, training\.warmUpSteps: 2 -> 1\)/);
  t.is(readdirSync(runs).length, 5);
});

for (const [args, message] of [
  [['--set', 'stepps=3'], "error: --set stepps=3: 'stepps' is unknown, did you mean 'steps'?"],
  [['--set', 'steps=many'], "error: --set: 'steps' should be a whole number of at least 1, but is \"many\": change it and start again"],
  [['--scale', 'paper'], "error: option '--scale <scale>' argument 'paper' is invalid. Allowed choices are smoke, minutes: see 'npx qdetr start --help'"],
] as const) {
  test.serial(`start ${args.join(' ')}: one line, exit code 1, nothing written`, async (t) => {
    const unused = path.join(folder, 'unused');
    const { code, stdout, stderr } = await start([...args, '--runs', unused, '--out', unused]);
    t.deepEqual([code, stdout, stderr], [1, '', `${message}\n`]);
    t.false(existsSync(unused));
  });
}
