/**
 * Decodes and batches images: `node --import=tsx decoding-child.ts FOLDER IMAGES BATCH WORKERS`. Prints one JSON line: images, seconds, batches' checksum.
 */
import { canvasGrid } from '../../src/data/canvas.js';
import { openCocoFolder } from '../../src/data/coco-reader.js';
import { paddedBatches } from '../../src/data/padded-batches.js';
import { DETR_EVALUATION } from '../../src/data/transforms.js';

const [folder, images, batchSize, workers] = [process.argv[2], ...process.argv.slice(3).map(Number)] as [string, number, number, number];
/** As in decoding.py: mirrored at random, shorter side 800. */
const transforms = { ...DETR_EVALUATION, flip: 0.5 };
const batches = paddedBatches({ dataset: openCocoFolder({ folder, split: 'bench' }), batchSize, seed: 0, transforms, canvases: canvasGrid(transforms), workers, prefetch: 2 });
await batches.batch(0); // threads start, functions are compiled
await batches.batch(1);
const steps = Math.floor(images / batchSize), begun = performance.now();
let sum = 0;
for (let step = 0; step < steps; step++) sum += (await batches.batch(2 + step)).pixels[0];
const seconds = (performance.now() - begun) / 1000;
await batches.close();
console.log(JSON.stringify({ images: steps * batchSize, seconds, sum }));
