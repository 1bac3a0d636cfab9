/**
 * The benchmark's step on this project's engine; prints one JSON line, as small_detr.py does.
 * Usage: node --import=tsx small-detr-child.ts [threads] [steps] [memory]. With `memory`: resident memory after every tenth of the steps.
 */
import { compileStep } from '../../src/tensor/compile-step.js';
import { chooseEngine } from '../../src/tensor/engine.js';
import { B, CLASSES, IMAGE, Q, smallDetr, smallDetrStep } from './small-detr.js';

const threads = Number(process.argv[2] ?? 2), steps = Number(process.argv[3] ?? 30), tenth = Math.ceil(steps / 10);
const { name, version } = await chooseEngine();
const { parameters, images, targets, boxes } = smallDetr();
const step = await compileStep(smallDetrStep, { state: parameters, threads, inputs: { images: { shape: [B, IMAGE, IMAGE, 3], dtype: 'float32' }, targets: { shape: [B, Q, CLASSES], dtype: 'float32' }, boxes: { shape: [B, Q, 4], dtype: 'float32' } } });
const milliseconds: number[] = [], losses: number[] = [], residentMegabytes: number[] = [];
for (let i = 0; i < steps + 2; i++) {
  const started = performance.now();
  const { loss } = await step.run({ images, targets, boxes });
  losses.push(loss[0]);
  if (i > 1) milliseconds.push(performance.now() - started);
  if (process.argv[4] === 'memory' && i > 1 && (i - 1) % tenth === 0) residentMegabytes.push(process.memoryUsage().rss / 1e6);
}
await step.dispose();
console.log(JSON.stringify({ engine: `${name} ${version}`, threads, milliseconds, losses: losses.slice(0, 5), peakMegabytes: process.resourceUsage().maxRSS / 1e3, residentMegabytes }));
