import { counted } from '../counted.js';
import type { RunListener } from '../experiments/run.js';
import type { TrainingSettings } from '../training/settings.js';
import { formatDuration, Progress } from './progress.js';

/** A share as figures print it, in percent with one decimal. */
export const percent = (share: number): string => (100 * share).toFixed(1);

/**
 * Tells on the terminal how a run goes: what is reused and why, progress with the time left, average precision.
 * @param stepsAfter what comes after this run, in steps of this run: with it, the line estimates the time left for everything
 */
export function runListener(name: string, training: TrainingSettings, stepsAfter = 0): RunListener {
  let progress: Progress | undefined, preparation: { what: string; line: Progress } | undefined, begun = 0, start = 0;
  return {
    reuse: (reason) => console.log(`${name}: ${reason}.`),
    preparing: (done, total, what = 'images at hand') => {
      if (preparation?.what !== what) preparation = { what, line: new Progress({ label: name, total, unit: what }) };
      if (done === total) preparation.line.finish();
      else preparation.line.update(done);
    },
    started: (from, note) => {
      if (note) console.log(`${name}: ${note}.`);
      if (from > 0) console.log(`${name}: going on from step ${from}.`);
      [begun, start] = [performance.now(), from];
      progress = new Progress({ label: name, total: training.steps, unit: 'steps', start: from });
    },
    step: (done, loss) => {
      const all = ((performance.now() - begun) / (done - start) / 1000) * (training.steps - done + stepsAfter);
      const note = `loss ${loss.toFixed(2)}${stepsAfter > 0 && done - start > 5 ? `, all in ${formatDuration(all)}` : ''}`;
      if (done === training.steps) progress?.finish(note);
      else progress?.update(done, note);
    },
    evaluated: (lines) => {
      const scores = lines.map(({ kind, split, ap50, top1, top5 }) => (kind === 'accuracy' ? `top-1 ${percent(Number(top1))}, top-5 ${percent(Number(top5))}` : `${String(split)} ${percent(Number(ap50))}`));
      const isInside = process.stderr.isTTY && Number(lines[0]?.step) < training.steps; // the progress line is still open
      console.log(`${isInside ? '\n' : ''}    ${lines[0]?.kind === 'accuracy' ? 'accuracy' : 'AP50'} after ${counted(Number(lines[0]?.step), 'step')}: ${scores.join(', ')}`);
    },
  };
}
