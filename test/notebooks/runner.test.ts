import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { executeNotebook } from '../../src/cli/notebooks.js';
import { notebookText } from '../../src/cli/run-notebook.js';
import { UserError } from '../../src/errors.js';

interface Output { output_type: string; name?: string; text?: string[]; data?: Record<string, unknown> }
interface Cell { cell_type: string; execution_count?: number; outputs?: Output[]; metadata: object }

/** Writes a notebook of code cells (or markdown, after 'md:') and returns its path. */
function notebook(...sources: string[]): string {
  const file = path.join(mkdtempSync(path.join(tmpdir(), 'qdetr-notebook-')), 'sample.ipynb');
  const cells = sources.map((source, i) => {
    const shared = { id: `c${i}`, metadata: { execution: { started: 'now' } }, source: source.replace(/^md:/, '').split(/(?<=\n)/) };
    return source.startsWith('md:') ? { cell_type: 'markdown', ...shared, metadata: {} } : { cell_type: 'code', ...shared, execution_count: 41, outputs: [] };
  });
  writeFileSync(file, JSON.stringify({ cells, metadata: {}, nbformat: 4, nbformat_minor: 5 }));
  return file;
}
const read = (file: string) => JSON.parse(readFileSync(file, 'utf8')) as { cells: Cell[]; metadata: { kernelspec: { name: string } } };

const good = [
  'md:# A sample',
  "import { readFileSync } from 'node:fs';\nimport { messageOf } from './src/errors.js';\nimport { showMarkdown } from './src/figures/display.js';\nconst name: string = JSON.parse(readFileSync('package.json', 'utf8')).name;\nname",
  "console.log('one');\nconsole.log('two');\nconsole.error(messageOf(new Error('three')));\nshowMarkdown(`**${name}**`);",
  "import * as tslab from 'tslab';\ntslab.display.html('<b>four</b>');\nawait new Promise((done) => setTimeout(done, 20));\n({ smoke: process.env.QDETR_SMOKE === '1' })",
];

test.serial('runs from top to bottom in the project root, with imports of src; a rerun changes nothing', async (t) => {
  const file = notebook(...good);
  t.regex(await executeNotebook(file), /new outputs written$/);
  const { cells, metadata } = read(file);
  t.deepEqual(cells.map((cell) => cell.execution_count), [undefined, 1, 2, 3]);
  t.deepEqual(cells[1].outputs, [{ name: 'stdout', output_type: 'stream', text: ['qdetr\n'] }]);
  t.deepEqual(cells[2].outputs!.map((output) => output.name ?? output.output_type), ['stdout', 'stderr', 'display_data']);
  t.deepEqual(cells[2].outputs![0].text, ['one\n', 'two\n']);
  t.deepEqual(cells[2].outputs![2].data, { 'text/markdown': ['**qdetr**'], 'text/plain': ['**qdetr**'] });
  t.deepEqual(cells[3].outputs![0].data, { 'text/html': ['<b>four</b>'] });
  t.deepEqual(cells[3].outputs![1].text, ['{ smoke: false }\n']);
  t.is(metadata.kernelspec.name, 'qdetr-typescript');
  t.deepEqual(cells[1].metadata, {}); // no times
  const first = readFileSync(file, 'utf8');
  t.is(first, notebookText(JSON.parse(first)));

  t.regex(await executeNotebook(file, { check: true }), /as committed$/);
  t.regex(await executeNotebook(file), /outputs unchanged$/);
  t.is(readFileSync(file, 'utf8'), first);

  writeFileSync(file, first.replace('two\\n', 'TWO\\n'));
  const message = /sample\.ipynb: cell 3 \(console\.log\('one'\);\) gives other outputs than the file holds: run 'npx qdetr notebooks /;
  await t.throwsAsync(executeNotebook(file, { check: true }), { instanceOf: UserError, message });
  t.true(readFileSync(file, 'utf8').includes('TWO'));
});

test.serial('at smoke size nothing is written', async (t) => {
  const file = notebook("if (process.env.QDETR_SMOKE !== '1') throw new Error('full size');");
  const before = readFileSync(file, 'utf8');
  t.regex(await executeNotebook(file, { smoke: true }), /runs at its smoke size$/);
  t.is(readFileSync(file, 'utf8'), before);
});

const failing: [string, string[], RegExp][] = [
  ['an exception', ['1 + 1', "function f(x: number): never {\n  throw new RangeError(`bad ${x}`);\n}\nf(3);", "console.log('not reached')"], /sample\.ipynb: cell 2 \(function f\(x: number\): never \{\) failed: RangeError: bad 3\n\s+at f \(this notebook\)/],
  ['an exception after await', ["await Promise.reject(new Error('later'));"], /cell 1 .* failed: Error: later/],
  ['a mistake of types, as strict as src', ['md:text', "const n: number = 'x';"], /cell 2 .* failed: 1:7 - Type 'string' is not assignable to type 'number'/],
  ['an implicit any', ['const f = (x) => x;'], /cell 1 .* failed: 1:12 - Parameter 'x' implicitly has an 'any' type/],
  ['a UserError: one sentence, no frames', ["import { UserError } from './src/errors.js';\nthrow new UserError('a.json: key x is missing: add it');"], /failed: UserError: a\.json: key x is missing: add it$/],
  ['the end of the process', ['process.exit(3);'], /the notebook's process ended in cell 1 \(process\.exit\(3\);\) \(exit code 3\)/],
];
for (const [name, cells, message] of failing) {
  test.serial(`names notebook, cell and error: ${name}`, async (t) => {
    const file = notebook(...cells);
    const before = readFileSync(file, 'utf8');
    await t.throwsAsync(executeNotebook(file), { instanceOf: UserError, message });
    t.is(readFileSync(file, 'utf8'), before);
  });
}

test('files that are no notebooks are refused', async (t) => {
  const file = path.join(mkdtempSync(path.join(tmpdir(), 'qdetr-notebook-')), 'x.ipynb');
  await t.throwsAsync(executeNotebook(file), { instanceOf: UserError, message: /x\.ipynb can't be read as a notebook/ });
  writeFileSync(file, '{"nbformat": 3, "worksheets": []}');
  await t.throwsAsync(executeNotebook(file), { instanceOf: UserError, message: /x\.ipynb: key nbformat: this is no notebook of format 4/ });
});
