import { execFileSync } from 'node:child_process';
import test from 'ava';
import { cachedDataset } from '../../src/data/cached-dataset.js';
import type { ComposedSamples, DetectionDataset } from '../../src/data/dataset.js';
import { limitedDataset } from '../../src/data/limited-dataset.js';
import { decodedBank } from '../../src/data/minivoc/bank.js';
import { composeInThreads } from '../../src/data/minivoc/compose-in-threads.js';
import { openMiniVoc } from '../../src/data/minivoc/minivoc.js';
import { spriteDataset } from '../../src/data/minivoc/sprite-dataset.js';

const settings = { size: 64, split: 'test-unseen', seed: 7 } as const, miniVoc = openMiniVoc(settings);
const task = (sprites = false) => ({ bank: decodedBank(), settings, sprites });
const RANGES = [{ start: 3, end: 8 }, { start: 40, end: 41 }, { start: 0, end: 2 }];

/** The samples of ranges as one thread makes them, and whether what threads made are these. */
const isSame = (dataset: DetectionDataset, { start, images, samples }: ComposedSamples): boolean => samples.every((one, i) => {
  const { image, ...others } = dataset.sample(start + i), bytes = image.length;
  return JSON.stringify(one) === JSON.stringify(others) && Buffer.compare(image, images.subarray(i * bytes, (i + 1) * bytes)) === 0;
});

for (const sprites of [false, true]) {
  test(`threads compose the same ${sprites ? 'sprites' : 'images'} with the same objects as this thread, bit for bit`, async (t) => {
    const made: ComposedSamples[] = [], dataset = sprites ? spriteDataset(miniVoc, 50) : miniVoc;
    await composeInThreads(task(sprites), RANGES, (one) => made.push(one), 2);
    t.deepEqual(made.map(({ start, samples }) => [start, samples.length]).sort(), [[0, 2], [3, 5], [40, 1]]);
    t.true(made.every((one) => one.images.length === one.samples.length * 64 * 64 * 3 && isSame(dataset, one)));
    const again: ComposedSamples[] = [];
    await dataset.compose!(RANGES, (one) => again.push(one));
    t.deepEqual(again.sort((a, b) => a.start - b.start), made.sort((a, b) => a.start - b.start));
  });
}

test('what goes wrong in a thread is thrown with its message, and what the listener throws ends the work', async (t) => {
  await t.throwsAsync(composeInThreads(task(), [{ start: 1998, end: 2001 }], () => undefined, 2), { message: 'MiniVOC test-unseen has images 0 to 1999, not 2000' });
  let ranges = 0;
  const many = Array.from({ length: 50 }, (_, i) => ({ start: i, end: i + 1 }));
  await t.throwsAsync(composeInThreads(task(), many, () => { if (++ranges === 3) throw new Error('stop'); }, 2), { message: 'stop' });
  t.is(ranges, 3);
});

test('a data set of many images is packed by threads as by one, and so is one that has some of its images already', async (t) => {
  const whole = limitedDataset(miniVoc, 1010), one = await cachedDataset({ ...whole, compose: undefined }).packed();
  const told: number[] = [], cached = cachedDataset(whole), before = [0, 999, 1009].map((index) => cached.sample(index));
  const packed = await cached.packed((done) => told.push(done));
  t.is(Buffer.compare(Buffer.from(packed.buffer), Buffer.from(one.buffer)), 0);
  t.deepEqual(cached.sample(999), before[1]);
  t.deepEqual([cached.sample(500), cached.sample(1009)], [miniVoc.sample(500), before[2]]);
  t.deepEqual([told[0], told.at(-1), told.length], [0, 1010, 52]);
  t.deepEqual(told, [...told].sort((a, b) => a - b));
});

test('the threads do not outlive the work: a process that has composed ends', (t) => {
  const script = `
    const { openMiniVoc } = await import('./src/data/minivoc/minivoc.ts');
    await openMiniVoc({ size: 64, split: 'val' }).compose([{ start: 0, end: 3 }, { start: 3, end: 5 }], ({ start, samples }) => console.log(start, samples.length));`;
  const said = execFileSync(process.execPath, ['--import=tsx', '--input-type=module', '-e', script], { encoding: 'utf8', timeout: 60_000 });
  t.deepEqual(said.trim().split('\n').sort(), ['0 3', '3 2']);
});
