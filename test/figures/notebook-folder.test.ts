import { existsSync } from 'node:fs';
import test from 'ava';
import { notebookFolder } from '../../src/figures/notebook-folder.js';

test.serial('in Jupyter the runs\' own folder, headless a new temporary one', (t) => {
  const before = process.env.QDETR_HEADLESS;
  try {
    delete process.env.QDETR_HEADLESS;
    t.is(notebookFolder(), '.runs');
    process.env.QDETR_HEADLESS = '1';
    const [one, other] = [notebookFolder(), notebookFolder()];
    t.true(existsSync(one) && existsSync(other));
    t.not(one, other);
  } finally {
    if (before === undefined) delete process.env.QDETR_HEADLESS;
    else process.env.QDETR_HEADLESS = before;
  }
});
