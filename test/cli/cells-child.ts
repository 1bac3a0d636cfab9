// A process that performs cells as src/cli/cell-process.ts does, with a stand-in for training. What it does with a cell is said by `teacher`.
import { appendFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { serveCells } from '../../src/cli/serve-cells.js';
import { UserError } from '../../src/errors.js';
import { cellName } from '../../src/experiments/grid.js';
import { lockRun } from '../../src/training/run-lock.js';
import { madeUpRun } from '../figures/summaries.js';

serveCells(async (cell, { root = '', signal, listen, threads }) => {
  const act = cell.teacher, folder = path.join(root, cellName(cell));
  const { method, bits, family: model, scale, seed } = cell;
  const summary = madeUpRun({ method, bits, model, scale, seed, dataset: 'minivoc-64', ap50: 0.25 + seed / 100 });
  mkdirSync(root, { recursive: true });
  appendFileSync(path.join(root, 'log'), `${process.pid} ${cellName(cell)} threads ${threads}\n`);
  if (existsSync(path.join(folder, 'done'))) return { reused: true, folder, summary };
  const unlock = act === 'shares' ? lockRun(path.join(root, 'stage-1')) : undefined;
  try {
    if (act === 'fails' && cell.seed === 0) throw new UserError('loss is no number');
    if (act === 'crashes' && cell.seed === 0) {
      console.error('Error: no memory');
      process.kill(process.pid, 'SIGKILL');
    }
    const listener = listen?.('run', { steps: 8 } as never);
    for (let step = 1; step <= (act === 'waits' ? 1e6 : 4); step++) {
      listener?.step?.(step, 1);
      await wait(20);
      if (signal?.aborted) throw Object.assign(new Error('stopped'), { name: 'TrainingInterrupted' });
    }
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, 'done'), '');
    return { reused: false, folder, summary };
  } finally {
    unlock?.();
  }
});
