/** Coloured rectangles on images of several sizes, in padded batches: what the tiny detector is trained on where images have any size. */
import type { PaddedBatch } from '../../src/data/image-dataset.js';
import { initialDetectorParameters } from '../../src/models/initial-parameters.js';
import { RandomStream } from '../../src/tensor/random.js';
import { isBuffer } from '../../src/training/parameter-groups.js';
import { imageDetectionTask, type ImageDetectionTaskOptions } from '../../src/training/image-detection-task.js';
import type { ShapedTrainingTask } from '../../src/training/train.js';
import { tinyModel } from './tiny-detector.js';

const OBJECTS = 2, SIZES = [[16, 16], [12, 20], [20, 12]] as const;

/** Image i: its size is one of three, and it has i mod 3 objects. */
function image(i: number): { height: number; width: number; pixels: Uint8Array; labels: number[]; boxes: number[][] } {
  const random = new RandomStream(21, i), [height, width] = SIZES[i % 3];
  const pixels = Uint8Array.from({ length: height * width * 3 }, () => random.integer(60));
  const objects = Array.from({ length: i % 3 }, (_, k) => {
    const label = random.integer(3), side = 4 + random.integer(3), left = k * 6, top = random.integer(height - side);
    for (let y = top; y < top + side; y++) for (let x = left; x < left + side; x++) pixels[(y * width + x) * 3 + label] = 255;
    return { label, box: [(left + side / 2) / width, (top + side / 2) / height, side / width, side / height] };
  });
  return { height, width, pixels, labels: objects.map(({ label }) => label), boxes: objects.map(({ box }) => box) };
}

/** Some of the images in a canvas; of the least size that holds them where none is named. */
export function padded(indices: readonly number[], canvas?: readonly [height: number, width: number]): PaddedBatch {
  const images = indices.map(image), [height, width] = canvas ?? [Math.max(...images.map((one) => one.height)), Math.max(...images.map((one) => one.width))];
  const count = indices.length, batch: PaddedBatch = {
    height, width, pixels: new Uint8Array(count * height * width * 3), sizes: Int32Array.from(images.flatMap((one) => [one.height, one.width])),
    labels: new Int32Array(count * OBJECTS).fill(-1), boxes: new Float32Array(count * OBJECTS * 4), counts: Int32Array.from(images, ({ labels }) => labels.length), indices: Int32Array.from(indices),
  };
  images.forEach((one, b) => {
    for (let y = 0; y < one.height; y++) batch.pixels.set(one.pixels.subarray(y * one.width * 3, (y + 1) * one.width * 3), (b * height + y) * width * 3);
    batch.labels.set(one.labels, b * OBJECTS);
    one.boxes.forEach((box, k) => batch.boxes.set(box, (b * OBJECTS + k) * 4));
  });
  return batch;
}

/** The tiny detector on batches of these images. */
export const tinyImageTask = (options: Partial<ImageDetectionTaskOptions> & Pick<ImageDetectionTaskOptions, 'batches' | 'accumulated'>): ShapedTrainingTask => imageDetectionTask({
  model: tinyModel, quantization: () => ({ weightBits: 32, activationBits: 32, attentionBits: 32 }), stepsPerEpoch: 3, isFrozen: isBuffer,
  start: () => initialDetectorParameters(tinyModel, new RandomStream(3, 1)), ...options,
});
