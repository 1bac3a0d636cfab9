import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { executeNotebook } from '../../src/cli/notebooks.js';
import { notebookText, readNotebook } from '../../src/cli/run-notebook.js';

interface Output { output_type: string; data?: Record<string, unknown> }

const files = readdirSync('notebooks').filter((name) => name.endsWith('.ipynb')).map((name) => path.join('notebooks', name));

test('there are notebooks, and 00-start is the first', (t) => {
  t.is(files.sort()[0], 'notebooks/00-start.ipynb');
});

test.serial('00-start: run in full, it gives the outputs that are committed', async (t) => {
  t.timeout(240_000);
  t.is(await executeNotebook('notebooks/00-start.ipynb', { check: true, smoke: false }), 'notebooks/00-start.ipynb: as committed');
});

for (const file of files) {
  const notebook = readNotebook(file);
  const code = notebook.cells.filter((cell) => cell.cell_type === 'code');
  const text = notebook.cells.filter((cell) => cell.cell_type === 'markdown').map(({ source }) => (Array.isArray(source) ? source.join('') : source));

  test(`${file}: committed as a full run leaves it`, (t) => {
    t.is(readFileSync(file, 'utf8'), notebookText(notebook));
    t.deepEqual(code.map((cell) => cell.execution_count), code.map((_, i) => i + 1));
    t.is((notebook.metadata.kernelspec as { name: string }).name, 'qdetr-typescript');
    const outputs = code.flatMap((cell) => (cell.outputs ?? []) as Output[]);
    t.false(outputs.some(({ output_type }) => output_type === 'error'));
    for (const { data } of outputs) {
      if (data && 'application/vnd.vegalite.v5+json' in data) t.true('image/png' in data); // GitHub shows the PNG
    }
  });

  test(`${file}: opens with goal, running time and what is recorded, ends with summary and exercises`, (t) => {
    for (const part of [/goal/i, /running time/i, /recorded/i]) t.regex(text[0], part);
    for (const heading of [/^#+ .*summary/im, /^#+ .*exercise/im, /answer/i]) t.true(text.some((markdown) => heading.test(markdown)), String(heading));
  });

  test(`${file}: its links lead somewhere`, (t) => {
    const links = text.flatMap((markdown) => [...markdown.matchAll(/\]\(([^)#]+?)(?:#[^)]*)?\)/g)].map(([, link]) => link)).filter((link) => !/^[a-z]+:/.test(link));
    for (const link of links) t.true(existsSync(path.join('notebooks', link)), link);
    t.pass();
  });

  test.serial(`${file}: runs at its smoke size`, async (t) => {
    t.timeout(240_000);
    t.is(await executeNotebook(file, { smoke: true }), `${file}: runs at its smoke size`);
  });
}
