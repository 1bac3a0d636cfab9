/** Runs the toy training until it ends or is killed: `node --import=tsx toy-run-child.ts ROOT STEPS INTERVAL`. */
import { toyRun } from './toy-run.js';

const [root, steps, interval] = process.argv.slice(2);
process.stdout.write('ready\n');
setTimeout(() => {
  toyRun(root, { steps: Number(steps), interval: Number(interval) });
  process.stdout.write('finished\n');
}, 20);
