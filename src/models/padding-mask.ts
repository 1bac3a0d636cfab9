import { tf, type Tensor } from '../tensor/tf.js';

/** Logit of a key in the padding: its softmax is 0 beside any other key. */
const EXCLUDED = -1e9;

/** Which cells of a feature map show the image, and which the padding beside it. Images lie in the upper left corner of their canvas. */
export interface PaddingMask {
  /** Added to the logits of keys: 0 where there is image, -1e9 in the padding, [B, 1, 1, S]. */
  logits: Tensor;
  /** 1 where there is image, 0 in the padding, [B, 1, S, 1]. */
  valid: Tensor;
  /** Rows and columns of the feature map that show the image, [B], float32. */
  rows: Tensor;
  columns: Tensor;
}

/** Height and width, in pixels or cells. */
export interface Extent {
  height: number;
  width: number;
}

/**
 * First pixel of each cell along an axis, as torch.nn.functional.interpolate(mode='nearest') computes it, in float32: floor(i * pixels / cells).
 * A cell shows the image where the image has that pixel.
 */
export function firstPixels(pixels: number, cells: number): Float32Array {
  const scale = Math.fround(pixels / cells);
  return Float32Array.from({ length: cells }, (_, i) => Math.floor(Math.fround(i * scale)));
}

/** [B] lengths in pixels -> [B, cells] of 1 and 0 */
const shownCells = (lengths: Tensor, pixels: number, cells: number): Tensor =>
  tf.cast(tf.less(tf.reshape(tf.tensor1d(firstPixels(pixels, cells)), [1, cells]), tf.reshape(lengths, [-1, 1])), 'float32');

/**
 * The mask of a padded batch on its feature map: facebookresearch/detr's mask, interpolated to the nearest pixel (models/backbone.py).
 * @param imageSizes heights and widths of the images in their canvas, pixels, int32 [B, 2]
 * @param canvas height and width of the batch, pixels
 * @param grid height and width of the feature map, cells
 */
export function paddingMask(imageSizes: Tensor, canvas: Extent, grid: Extent): PaddingMask {
  const [batch] = imageSizes.shape, cells = grid.height * grid.width;
  const sizes = tf.cast(imageSizes, 'float32');
  const inRows = shownCells(tf.slice(sizes, [0, 0], [batch, 1]), canvas.height, grid.height);
  const inColumns = shownCells(tf.slice(sizes, [0, 1], [batch, 1]), canvas.width, grid.width);
  const shown = tf.reshape(tf.mul(tf.reshape(inRows, [batch, grid.height, 1]), tf.reshape(inColumns, [batch, 1, grid.width])), [batch, cells]);
  return {
    logits: tf.reshape(tf.mul(tf.sub(1, shown), EXCLUDED), [batch, 1, 1, cells]),
    valid: tf.reshape(shown, [batch, 1, cells, 1]),
    rows: tf.sum(inRows, 1),
    columns: tf.sum(inColumns, 1),
  };
}
