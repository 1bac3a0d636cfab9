import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
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
# evaluate › after.always hook

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

/** Runs test/run.ts as `npm test -- …` does. */
function npmTest(...selection: string[]): { status: number | null; lines: string[] } {
  const { status, stdout } = spawnSync(process.execPath, ['--import=tsx', 'test/run.ts', ...selection], { encoding: 'utf8' });
  return { status, lines: stdout.trimEnd().split('\n') };
}

test('a selection runs alone; files in it that are no tests are left out', (t) => {
  const { status, lines } = npmTest('test/cli/progress.test.ts', 'test/run.ts');
  t.is(lines.at(-1), '4 passed, 0 failed', lines.join('\n'));
  t.is(status, 0);
  t.true(lines.every((line) => line === '' || line.startsWith('  ✔ ') || line === lines.at(-1)), lines.join('\n'));
});

test('a failing test, and a selection without tests, end with exit code 1', (t) => {
  mkdirSync('.cache', { recursive: true });
  const folder = mkdtempSync('.cache/failing-test-');
  try {
    writeFileSync(path.join(folder, 'x.test.ts'), "import test from 'ava';\ntest('good', (t) => t.pass());\ntest('bad', (t) => t.is(1, 2));\n");
    const { status, lines } = npmTest(path.join(folder, 'x.test.ts'));
    t.is(status, 1);
    t.deepEqual([lines.at(-3), lines.at(-1)], ['  ✘ bad', '1 passed, 1 failed'], lines.join('\n'));
  } finally {
    rmSync(folder, { recursive: true });
  }
  const none = npmTest('test/none.test.ts');
  t.is(none.status, 1);
  t.deepEqual([none.lines[0], none.lines.at(-1)], ['  ✘ no test matches test/none.test.ts', '0 passed, 1 failed']);
});

test('the closing line', (t) => {
  t.is(closingLine({ passed: 12, failed: 0, skipped: 0 }), '12 passed, 0 failed');
  t.is(closingLine({ passed: 12, failed: 1, skipped: 2 }), '12 passed, 1 failed, 2 skipped');
});
