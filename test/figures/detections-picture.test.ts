import sharp from 'sharp';
import test from 'ava';
import { detectionsPicture, type DrawnDetection } from '../../src/figures/detections-picture.js';

const grey = (width: number, height: number): { pixels: Uint8Array; width: number; height: number } => ({ pixels: new Uint8Array(3 * width * height).fill(128), width, height });

async function drawn(width: number, height: number, detections: DrawnDetection[]): Promise<{ at: (x: number, y: number) => number[]; width: number; height: number; painted: number }> {
  const { data, info } = await sharp(await detectionsPicture(grey(width, height), detections)).raw().toBuffer({ resolveWithObject: true });
  let painted = 0;
  for (let i = 0; i < data.length; i += 3) painted += Number(data[i] !== 128 || data[i + 1] !== 128 || data[i + 2] !== 128);
  return { at: (x, y) => [...data.subarray(3 * (y * info.width + x), 3 * (y * info.width + x) + 3)], width: info.width, height: info.height, painted };
}

test('a box lies where it should, in the colour of its class, with a label at its corner; nothing else is painted', async (t) => {
  const { at, width, height } = await drawn(700, 700, [{ name: 'cat', score: 0.9, box: [200, 300, 500, 600] }]);
  t.deepEqual([width, height], [700, 700]);
  for (const [x, y] of [[200, 450], [500, 450], [350, 600], [203, 288]]) t.deepEqual(at(x, y), [255, 176, 0], `${x}, ${y}`);
  t.deepEqual(at(100, 100), [128, 128, 128]);
  t.notDeepEqual(at(350, 450), [128, 128, 128]); // a breath of the colour inside
});

test('small images are enlarged by a whole number; an image without detections is left as it is', async (t) => {
  const { at, width, height, painted } = await drawn(64, 48, []);
  t.deepEqual([width, height, painted], [640, 480, 0]);
  t.deepEqual(at(320, 240), [128, 128, 128]);
});

test('boxes that leave the image, have no area or names with signs of XML are drawn all the same', async (t) => {
  const { painted, width } = await drawn(300, 700, [{ name: 'a <b> & "c"', score: 1, box: [-50, -80, 900, 20] }, { name: 'dog', score: 0.5, box: [100, 100, 100, 100] }, { name: 'dog', score: 0.4, box: [100, 100, 100, 100] }]);
  t.is(width, 300);
  t.true(painted > 500);
});
