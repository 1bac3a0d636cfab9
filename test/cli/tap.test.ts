import test from 'ava';
import { TapReader, closingLine } from '../tap.js';

/** Lines as ava 7.0.0 writes them with --tap. */
const lines = `TAP version 13
ok 1 - tensor › random › a number depends on its position # SKIP
ok 2 - good
  # a note
not ok 3 - bad - worse
  ---
    name: AssertionError
    details:
      'Difference (- actual, + expected):': |2-
        - 2
        + 3
  ...
ok 4 - not ok 5 - a title

---
not ok 6 - test/a.test.ts exited with a non-zero exit code: 1

1..6
# tests 5
# pass 2
# skip 1
# fail 1`.split('\n');

test('tests are counted, crashes among the failed ones, and every other line is kept', (t) => {
  const reader = new TapReader();
  t.deepEqual(lines.map((line) => reader.read(line)).filter((line) => line !== null), [
    '  - tensor › random › a number depends on its position (skipped)',
    '  ✔ good',
    '      a note',
    '  ✘ bad - worse',
    '  ---',
    '    name: AssertionError',
    '    details:',
    "      'Difference (- actual, + expected):': |2-",
    '        - 2',
    '        + 3',
    '  ...',
    '  ✔ not ok 5 - a title',
    '---',
    '  ✘ test/a.test.ts exited with a non-zero exit code: 1',
  ]);
  t.deepEqual(reader.count, { passed: 2, failed: 2, skipped: 1 });
  t.deepEqual(reader.failures, ['bad - worse', 'test/a.test.ts exited with a non-zero exit code: 1']);
});

test('the closing line', (t) => {
  t.is(closingLine({ passed: 12, failed: 0, skipped: 0 }), '12 passed, 0 failed');
  t.is(closingLine({ passed: 12, failed: 1, skipped: 2 }), '12 passed, 1 failed, 2 skipped');
});
