/** Two steps of a small model on the engine that QDETR_ENGINE names; prints one JSON line. Started by engine.test.ts. */
import { compileStep } from '../../src/tensor/compile-step.js';
import { chooseEngine } from '../../src/tensor/engine.js';
import { B, CLASSES, IMAGE, Q, smallDetr, smallDetrStep } from '../bench/small-detr.js';

const { name, version } = await chooseEngine();
const { parameters, images, targets, boxes } = smallDetr();
const step = await compileStep(smallDetrStep, { state: parameters, inputs: { images: { shape: [B, IMAGE, IMAGE, 3], dtype: 'float32' }, targets: { shape: [B, Q, CLASSES], dtype: 'float32' }, boxes: { shape: [B, Q, 4], dtype: 'float32' } } });
const losses: number[] = [];
for (let i = 0; i < 5; i++) losses.push((await step.run({ images, targets, boxes })).loss[0]);
await step.dispose();
console.log(JSON.stringify({ name, version, losses }));
