import { tf, type Tensor } from '../tensor/tf.js';
import type { Extent, PaddingMask } from './padding-mask.js';

/** Sines and cosines of the place of cell `index` among `length` cells, written to `to` from `at` on: half of the channels. */
function encodePlace(index: number, length: number, half: number, to: Float32Array, at: number): void {
  const scale = 2 * Math.PI, temperature = 10_000;
  const place = ((index + 1) / (length + 1e-6)) * scale;
  for (let i = 0; i < half; i++) {
    const wave = i % 2 === 0 ? Math.sin : Math.cos;
    to[at + i] = wave(place / temperature ** ((2 * Math.floor(i / 2)) / half));
  }
}

/**
 * DETR's sine position encoding of a full image (`PositionEmbeddingSine`, normalize=True, scale 2 pi, temperature 10000):
 * the first half of the channels encodes y, the second x; sines and cosines alternate.
 * @param height rows of the feature map
 * @param width columns of the feature map
 * @param channels C, a multiple of 4
 * @returns [height * width, C], row-major
 */
export function sinePositions(height: number, width: number, channels: number): Float32Array {
  const half = channels / 2;
  const encoding = new Float32Array(height * width * channels);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const at = (row * width + column) * channels;
      encodePlace(row, height, half, encoding, at);
      encodePlace(column, width, half, encoding, at + half);
    }
  }
  return encoding;
}

/**
 * One axis of the encoding for every number of cells that an image can take up of it: row n - 1 of the table is that of an image of n cells,
 * [cells, cells * half]. Cells behind the image have the place of its last one.
 */
function axisTable(cells: number, half: number): Tensor {
  const table = new Float32Array(cells * cells * half);
  for (let length = 1; length <= cells; length++) {
    for (let index = 0; index < cells; index++) encodePlace(Math.min(index, length - 1), length, half, table, ((length - 1) * cells + index) * half);
  }
  return tf.tensor2d(table, [cells, cells * half]);
}

/** The table's rows for lengths [B], float32 -> [B, cells * half] */
const ofLengths = (table: Tensor, lengths: Tensor): Tensor => tf.gather(table, tf.cast(tf.relu(tf.sub(lengths, 1)), 'int32'));

/**
 * DETR's sine position encoding of the images of a padded batch: each image's cells only are counted, as facebookresearch/detr counts them by its
 * mask. What it gives in the padding differs from there, and nothing reads it. Tables instead of sines in the graph: the numbers are those of
 * {@link sinePositions} on every engine.
 * @param grid of the feature map
 * @param channels C, a multiple of 4
 * @returns [B, height * width, C], rows first
 */
export function maskedSinePositions({ rows, columns }: PaddingMask, { height, width }: Extent, channels: number): Tensor {
  const [batch] = rows.shape, half = channels / 2;
  const y = tf.reshape(ofLengths(axisTable(height, half), rows), [batch, height, 1, half]);
  const x = tf.reshape(ofLengths(axisTable(width, half), columns), [batch, 1, width, half]);
  return tf.reshape(tf.concat([tf.tile(y, [1, 1, width, 1]), tf.tile(x, [1, height, 1, 1])], 3), [batch, height * width, channels]);
}
