/**
 * Images composed per second on one core, by size: `npx tsx test/bench/compose.ts [images]`.
 * Sprites are decoded and halved when first used, so that a first round warms up.
 */
import { openMiniVoc } from '../../src/data/minivoc/minivoc.js';
import { MINIVOC_SIZES } from '../../src/data/minivoc/settings.js';

const images = Number(process.argv[2] ?? 400);
for (const size of MINIVOC_SIZES) {
  const dataset = openMiniVoc({ size, split: 'train' });
  for (let i = 0; i < images; i++) dataset.sample(i);
  const start = performance.now();
  let objects = 0;
  for (let i = images; i < 2 * images; i++) objects += dataset.sample(i).objects.length;
  const seconds = (performance.now() - start) / 1000;
  console.log(`${size}x${size}: ${(images / seconds).toFixed(0)} images/s, ${(objects / images).toFixed(2)} objects an image`);
}
