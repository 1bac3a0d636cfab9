import test from 'ava';
import { Progress, formatDuration } from '../../src/cli/progress.js';

function recorder(isTTY: boolean, columns?: number) {
  const written: string[] = [];
  return { isTTY, columns, written, write: (text: string) => written.push(text) };
}

test('a duration reads as a person says it', (t) => {
  t.deepEqual([0.4, 8, 59.6, 80, 3599, 7500, -3].map(formatDuration), ['0 s', '8 s', '1 min 00 s', '1 min 20 s', '59 min 59 s', '2 h 05 min', '0 s']);
});

test('without a terminal: a plain line every ten seconds, with the time left', (t) => {
  const stream = recorder(false);
  let clock = 0;
  const progress = new Progress({ label: 'training', total: 100, unit: 'steps', stream, now: () => clock });
  for (let done = 0; done <= 40; done++, clock += 1000) progress.update(done, `loss ${done}`);
  progress.finish();
  t.deepEqual(stream.written, [
    'training  0/100 steps  0 %  loss 0\n',
    'training  10/100 steps  10 %  1 min 30 s left  loss 10\n',
    'training  20/100 steps  20 %  1 min 20 s left  loss 20\n',
    'training  30/100 steps  30 %  1 min 10 s left  loss 30\n',
    'training  40/100 steps  40 %  1 min 00 s left  loss 40\n',
    'training  100/100 steps  in 41 s\n',
  ]);
});

test('a resumed run is judged by what it did itself', (t) => {
  const stream = recorder(false);
  let clock = 0;
  const progress = new Progress({ label: 'training', total: 100, unit: 'steps', start: 90, stream, now: () => clock });
  clock = 10_000;
  progress.update(95);
  t.deepEqual(stream.written, ['training  95/100 steps  95 %  10 s left\n']);
});

test('on a terminal one line is rewritten, never wider than the window, and blanked where it shrinks', (t) => {
  const stream = recorder(true, 30);
  let clock = 0;
  const progress = new Progress({ label: 'a', total: 10, unit: 'steps', stream, now: () => clock });
  clock = 1000;
  progress.update(1, 'a note that is far too long for it');
  progress.update(2, 'too soon');
  clock = 2000;
  progress.update(5);
  t.deepEqual(stream.written, ['\ra  1/10 steps  10 %  9 s left', '\ra  5/10 steps  50 %  2 s left']);
  clock = 3000;
  progress.finish();
  t.deepEqual(stream.written.slice(2), ['\ra  10/10 steps  in 3 s       ', '\n']);
});
