import { appendFileSync, existsSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { UserError } from '../../src/errors.js';
import { MetricsLog, readMetrics } from '../../src/training/metrics-log.js';

const newFolder = (): string => mkdtempSync(path.join(tmpdir(), 'qdetr-metrics-'));
const content = (folder: string): string => readFileSync(path.join(folder, 'metrics.jsonl'), 'utf8');

test('a log that is cut to its checkpoint and goes on equals the uninterrupted one', (t) => {
  const lines = Array.from({ length: 6 }, (_, step) => ({ step, loss: 1 / (step + 1), note: 'ü' }));
  const whole = newFolder(), cut = newFolder();
  const uninterrupted = new MetricsLog(whole);
  lines.forEach((line) => uninterrupted.append(line));

  const first = new MetricsLog(cut);
  lines.slice(0, 3).forEach((line) => first.append(line));
  const atCheckpoint = first.bytes;
  lines.slice(3, 5).forEach((line) => first.append(line));
  first.close();
  appendFileSync(path.join(cut, 'metrics.jsonl'), '{"step":5,"lo'); // killed in the middle of a line
  t.deepEqual(readMetrics(cut), lines.slice(0, 5), 'half a line is no line');

  const second = new MetricsLog(cut, atCheckpoint);
  t.deepEqual(readMetrics(cut), lines.slice(0, 3));
  lines.slice(3).forEach((line) => second.append(line));
  second.sync();
  t.is(content(cut), content(whole));
  t.is(second.bytes, uninterrupted.bytes);
  t.is(second.bytes, Buffer.byteLength(content(whole)));
});

test('without a checkpoint the log starts anew', (t) => {
  const folder = newFolder();
  new MetricsLog(folder).append({ step: 1 });
  new MetricsLog(folder).append({ step: 2 });
  t.deepEqual(readMetrics(folder), [{ step: 2 }]);
  t.deepEqual(readMetrics(newFolder()), []);
});

test('a log that is shorter than its checkpoint says, or other than it, is refused and left alone', (t) => {
  const folder = newFolder();
  const log = new MetricsLog(folder);
  log.append({ step: 1 });
  log.append({ step: 2 });
  for (const bytes of [log.bytes + 1, log.bytes - 1, 5]) {
    t.throws(() => new MetricsLog(folder, bytes), { instanceOf: UserError, message: new RegExp(`metrics\\.jsonl should have a line that ends at byte ${bytes} .*: delete this run's folder`) });
  }
  t.deepEqual(readMetrics(folder), [{ step: 1 }, { step: 2 }]);
});

test('a damaged line is named', (t) => {
  for (const line of ['{"step":', '3', '[1]', 'null']) {
    const folder = newFolder();
    writeFileSync(path.join(folder, 'metrics.jsonl'), `{"step":1}\n${line}\n{"step":3}\n`);
    t.throws(() => readMetrics(folder), { instanceOf: UserError, message: /metrics\.jsonl:2: should be a JSON object: delete/ });
  }
});

test('numbers that JSON has not are refused instead of turning into null', (t) => {
  const folder = newFolder();
  const log = new MetricsLog(folder);
  t.throws(() => log.append({ loss: NaN }), { message: "metrics: 'loss' is NaN" });
  t.throws(() => log.append({ norms: [1, Infinity] }), { message: "metrics: 'norms' is 1,Infinity" });
  t.is(content(folder), '');
});

(existsSync('/dev/full') ? test : test.skip)('a full disk is one sentence', (t) => {
  const folder = newFolder();
  symlinkSync('/dev/full', path.join(folder, 'metrics.jsonl'));
  const log = new MetricsLog(folder);
  t.throws(() => log.append({ step: 1 }), { instanceOf: UserError, message: /metrics\.jsonl can't be written \(ENOSPC.*\): free some space/ });
  t.is(log.bytes, 0);
});
