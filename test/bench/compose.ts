/**
 * Images composed per second of one core's time, by size: `npx tsx test/bench/compose.ts [images]`.
 * Sprites are decoded and halved when first used, so that a first round warms up. Time is the process's own CPU time, so that other
 * programs on the machine matter little.
 */
import { openMiniVoc } from '../../src/data/minivoc/minivoc.js';
import { MINIVOC_SIZES } from '../../src/data/minivoc/settings.js';

const images = Number(process.argv[2] ?? 600);
for (const size of MINIVOC_SIZES) {
  const dataset = openMiniVoc({ size, split: 'train' });
  for (let i = 0; i < images; i++) dataset.sample(i);
  const start = process.cpuUsage();
  let objects = 0;
  for (let i = images; i < 2 * images; i++) objects += dataset.sample(i).objects.length;
  const { user, system } = process.cpuUsage(start);
  console.log(`${size}x${size}: ${((images * 1e6) / (user + system)).toFixed(0)} images/s, ${(objects / images).toFixed(2)} objects an image`);
}
