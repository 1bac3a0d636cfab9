/**
 * Trains the tiny detector until it is done or dies: `node --import=tsx train-child.ts FOLDER BITS WHEN NUMBER`. WHEN is `never`, or kills
 * it with SIGKILL: `step` after step NUMBER, `evaluation` in the evaluation after step NUMBER, `saving` in the middle of writing the
 * NUMBER-th checkpoint, `pointing` before LAST is replaced for the NUMBER-th time (counted from 1).
 */
import { interceptFiles } from './crash.js';
import { tinyRun, tinyTask } from './tiny-detector.js';

const [folder, bits, when, number] = process.argv.slice(2);
const die = (): void => void process.kill(process.pid, 'SIGKILL');
const whole = tinyTask(bits);
let seen = 0;

interceptFiles(({ name, args, writeHalf }) => {
  const isCheckpoint = name === 'writeSync' && (args[1] as Uint8Array).length > 1000;
  const isPointer = name === 'renameSync' && String(args[1]).endsWith('LAST');
  if (((when === 'saving' && isCheckpoint) || (when === 'pointing' && isPointer)) && ++seen === Number(number)) {
    writeHalf();
    die();
  }
});

await tinyRun(folder, bits, {
  task: {
    evaluate: async (parameters, step) => {
      if (when === 'evaluation' && step === Number(number)) setImmediate(die);
      return whole.evaluate!(parameters, step);
    },
  },
  listener: {
    started: (from) => void process.stdout.write(`from ${from}\n`),
    step: (done) => {
      if (when === 'step' && done === Number(number)) die();
    },
  },
});
process.stdout.write('finished\n');
