import { mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { runNotebook } from '../../src/cli/run-notebook.js';

test('every module of src, the command line aside, can be imported in a notebook: it passes the older compiler there and loads through require', async (t) => {
  t.timeout(240_000);
  const modules = readdirSync('src', { recursive: true, encoding: 'utf8' })
    .map((file) => file.split(path.sep).join('/'))
    .filter((file) => file.endsWith('.ts') && !file.startsWith('cli/'))
    .sort();
  const imports = modules.map((file, i) => `import * as m${i} from './src/${file.replace(/\.ts$/, '.js')}';`);
  const source = `${imports.join('\n')}\n[${modules.map((_, i) => `m${i}`).join(', ')}].length`;
  const file = path.join(mkdtempSync(path.join(tmpdir(), 'qdetr-src-')), 'src.ipynb');
  writeFileSync(file, JSON.stringify({ cells: [{ cell_type: 'code', metadata: {}, source, outputs: [], execution_count: null }], metadata: {}, nbformat: 4, nbformat_minor: 5 }));
  const { cells } = await runNotebook(file);
  t.deepEqual((cells[0].outputs as { text?: string[] }[]).flatMap(({ text }) => text ?? []), [`${modules.length}\n`]);
});
