import test from 'ava';
import { ByteProgress } from '../../src/cli/byte-progress.js';

/** What a line of progress writes, with a clock of its own. */
function written(isTTY: boolean, steps: readonly [seconds: number, done: number, total: number | null][], columns = 80): string[] {
  const lines: string[] = [];
  let time = 0;
  const progress = new ByteProgress('fetching', { isTTY, columns, write: (text: string) => lines.push(text) }, () => time);
  for (const [seconds, done, total] of steps) {
    time = seconds * 1000;
    progress.update(done, total);
  }
  return lines;
}

test('on a terminal: a bar, the share, amounts, the speed of the last seconds and the time left at it', (t) => {
  const lines = written(true, [[0, 0, 451e6], [0.05, 1e6, 451e6], [1, 24e6, 451e6], [10, 171e6, 451e6], [11, 195e6, 451e6]]);
  t.deepEqual(lines.map((line) => line.trim()), [
    'fetching   ░░░░░░░░░░░░    0 %  0 B of 451 MB', // the second comes too soon
    'fetching   ░░░░░░░░░░░░    5 %  24.0 of 451 MB  24.0 MB/s  18 s left',
    'fetching   ████░░░░░░░░   37 %  171 of 451 MB  16.3 MB/s  17 s left',
    'fetching   █████░░░░░░░   43 %  195 of 451 MB  24.0 MB/s  11 s left',
  ]);
  t.true(lines.every((line) => line.startsWith('\r')));
});

test('the longest line fits 80 columns; a narrow terminal gets its beginning', (t) => {
  const steps: [number, number, number][] = [[0, 0, 147.9e9], [1, 101e6, 147.9e9], [2, 202e6, 147.9e9]];
  const line = written(true, steps)[2].trim();
  t.is(line, 'fetching   ░░░░░░░░░░░░    0 %  202 MB of 148 GB  101 MB/s  24 min 22 s left');
  t.true(line.length + 2 < 80);
  t.is(written(true, steps, 40)[2].length - 1, 39);
});

test('elsewhere: no bar, a line every ten seconds, none for what is quick; without a total no share', (t) => {
  t.deepEqual(written(false, [[0, 0, 1e9], [9, 9e7, 1e9], [11, 11e7, 1e9], [15, 15e7, 1e9], [22, 22e7, 1e9]]), ['  fetching    11 %  110 MB of 1.00 GB  10.0 MB/s  1 min 29 s left\n', '  fetching    22 %  220 MB of 1.00 GB  10.0 MB/s  1 min 18 s left\n']);
  t.deepEqual(written(false, [[0, 0, null], [11, 11e7, null]]), ['  fetching   110 MB  10.0 MB/s\n']);
});

test('a finished line is cleared', (t) => {
  const lines: string[] = [];
  const progress = new ByteProgress('checking', { isTTY: true, columns: 80, write: (text: string) => lines.push(text) }, () => 0);
  progress.update(1, 2);
  progress.clear();
  progress.clear();
  t.is(lines.length, 2);
  t.regex(lines[1], /^\r +\r$/);
  t.is(lines[1].length - 1, lines[0].length);
});
