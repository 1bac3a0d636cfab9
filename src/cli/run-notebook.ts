import { fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { UserError, messageOf } from '../errors.js';

/** The parts of a notebook (nbformat 4) that running it needs; everything else is kept as it is. */
interface Cell {
  cell_type: string;
  source: string | string[];
  metadata: Record<string, unknown>;
  execution_count?: number | null;
  outputs?: unknown[];
}
interface Notebook {
  cells: Cell[];
  metadata: Record<string, unknown>;
  nbformat: number;
}
interface CellError {
  ename: string;
  evalue: string;
  traceback: string[];
}
type Message = { metadata?: Record<string, unknown>; cell?: number; outputs?: unknown[]; error?: CellError | null; done?: boolean };

const RUNNER = 'notebooks/kernel/run-notebook.cjs';

/** A notebook as its file holds it: keys in alphabetical order, indented by one space, as Jupyter writes it. */
export function notebookText(notebook: unknown): string {
  const sorted = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(sorted);
    if (value === null || typeof value !== 'object') return value;
    return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, inner]) => [key, sorted(inner)]));
  };
  return `${JSON.stringify(sorted(notebook), null, 1)}\n`;
}

/**
 * Reads a notebook.
 * @throws UserError when the file is missing or holds no notebook of format 4.
 */
export function readNotebook(file: string): Notebook {
  let notebook: Notebook;
  try {
    notebook = JSON.parse(readFileSync(file, 'utf8')) as Notebook;
  } catch (error) {
    throw new UserError(`${file} can't be read as a notebook (${messageOf(error)}): check the path, or get the file back with 'git checkout -- ${file}'`);
  }
  if (notebook?.nbformat !== 4 || !Array.isArray(notebook.cells)) {
    throw new UserError(`${file}: key nbformat: this is no notebook of format 4; open and save it with a current JupyterLab`);
  }
  return notebook;
}

/** The code cell as people find it: its number among all cells, from 1, and the first line of its code. */
export function cellName(notebook: { cells: readonly { source: string | string[] }[] }, index: number): string {
  const { source } = notebook.cells[index];
  const [first] = (Array.isArray(source) ? source.join('') : source).trimStart().split('\n');
  return `cell ${index + 1} (${first.length > 60 ? `${first.slice(0, 57)}...` : first})`;
}

/**
 * Executes all code cells of a notebook in a process of its own and returns the notebook with fresh outputs, numbered
 * from 1, without times: what it holds depends on its cells, src and data only (and on QDETR_BACKEND where that is set: the outputs
 * that are committed are wasm's).
 * @param smoke runs it at its smoke size (QDETR_SMOKE=1)
 * @throws UserError naming notebook, cell and error when a cell fails or its process dies.
 */
export function runNotebook(file: string, { smoke = false, onCell = (_index: number) => {} } = {}): Promise<Notebook> {
  const notebook = readNotebook(file);
  const child = fork(RUNNER, [file], { execArgv: [], env: { ...process.env, FORCE_COLOR: undefined, NO_COLOR: '1', QDETR_HEADLESS: '1', QDETR_SMOKE: smoke ? '1' : '', QDETR_BACKEND: process.env.QDETR_BACKEND || 'wasm' }, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
  let stray = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => (stray = (stray + chunk.toString()).slice(-4000)));

  return new Promise((resolve, reject) => {
    let current = -1;
    let count = 0;
    let done = false;
    let failure: UserError | null = null;
    child.on('message', (message: Message) => {
      if (message.metadata !== undefined) Object.assign(notebook.metadata, message.metadata);
      if (message.done === true) done = true;
      if (message.cell === undefined) return;
      current = message.cell;
      if (message.outputs === undefined) return onCell(current);
      const cell = notebook.cells[current];
      cell.execution_count = ++count;
      cell.outputs = message.outputs;
      delete cell.metadata.execution;
      if (message.error) failure = new UserError(`${file}: ${cellName(notebook, current)} failed: ${message.error.traceback.join('\n')}`);
    });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (failure !== null) reject(failure);
      else if (done) resolve(notebook);
      else {
        const where = current < 0 ? 'before its first cell' : `in ${cellName(notebook, current)}`;
        reject(new UserError(`${file}: the notebook's process ended ${where} (${signal ?? `exit code ${code}`})${stray.trim() === '' ? '' : `: ${stray.trim()}`}`));
      }
    });
  });
}

/** The number of the first cell whose outputs, count or source differ; null where none does. */
export function firstDifference(a: Notebook, b: Notebook): number | null {
  for (let i = 0; i < Math.max(a.cells.length, b.cells.length); i++) {
    if (notebookText(a.cells[i]) !== notebookText(b.cells[i])) return i;
  }
  return null;
}
