import { UserError } from '../errors.js';
import { CANVAS_STEP, longestSide, type ImageSize, type TransformSettings } from './transforms.js';

/** Height and width that the images of a batch are padded to. */
export type Canvas = ImageSize;

const roundedUp = (length: number): number => CANVAS_STEP * Math.ceil(length / CANVAS_STEP);

/**
 * Canvases for transforms: every pair of `sides` lengths, among them the longest shorter side (800) and the longest longer one (1333, rounded up to 1344), the others
 * evenly between these, and half of them below. A model is compiled for each canvas that occurs, so that fewer sides cost fewer steps and more padding. Pixels of the
 * canvas per pixel of an image, for images of COCO's sizes and DETR's training (evaluation), by images in a batch:
 *
 *     sides  canvases      1            2            4            8
 *       2        4    1.61 (1.18)  1.96 (1.47)  2.45 (1.72)  2.91 (1.92)
 *       3        9    1.44 (1.07)  1.64 (1.29)  1.94 (1.54)  2.27 (1.78)
 *       5       25    1.22 (1.02)  1.49 (1.21)  1.81 (1.41)  2.15 (1.61)
 *     exact      -    1.00 (1.00)  1.25 (1.18)  1.52 (1.37)  1.81 (1.56)
 *
 * @throws UserError when `sides` is no whole number from 1
 */
export function canvasGrid({ sizes, maxSize }: Pick<TransformSettings, 'sizes' | 'maxSize'>, sides = 3): Canvas[] {
  if (!Number.isInteger(sides) || sides < 1) throw new UserError(`'sides' of the canvases is ${sides}: give a whole number from 1`);
  const least = Math.min(...sizes), shorter = Math.max(...sizes), between = Math.max(0, sides - 2), below = least < shorter ? Math.floor(between / 2) : 0, above = between - below;
  const spread = (from: number, to: number, count: number): number[] => Array.from({ length: count }, (_, i) => from + ((to - from) * (i + 1)) / (count + 1));
  const all = [...spread(least, shorter, below), ...(sides > 1 ? [shorter, ...spread(shorter, maxSize, above)] : []), Math.max(maxSize, shorter)];
  const lengths = [...new Set(all.map(roundedUp))].sort((a, b) => a - b);
  return lengths.flatMap((height) => lengths.map((width) => ({ height, width })));
}

/** The canvas of least area that holds images of these sizes. @throws UserError when none does */
export function canvasOf(sizes: readonly ImageSize[], canvases: readonly Canvas[]): Canvas {
  const height = sizes.reduce((most, size) => Math.max(most, size.height), 1), width = sizes.reduce((most, size) => Math.max(most, size.width), 1);
  const fitting = canvases.filter((canvas) => canvas.height >= height && canvas.width >= width);
  if (fitting.length === 0) throw new UserError(`no canvas holds images of ${width}x${height} pixels: add one, or use those of canvasGrid`);
  return fitting.reduce((best, canvas) => (canvas.height * canvas.width < best.height * best.width ? canvas : best));
}

/**
 * @throws UserError when sides are no whole numbers, or no canvas holds whatever the transforms give: both sides as long as {@link longestSide}
 */
export function checkCanvases(canvases: readonly Canvas[], transforms: TransformSettings): void {
  const wrong = canvases.find(({ height, width }) => ![height, width].every((side) => Number.isInteger(side) && side > 0));
  if (wrong) throw new UserError(`a canvas has ${wrong.width}x${wrong.height} pixels: give whole numbers from 1`);
  const longest = longestSide(transforms);
  canvasOf([{ height: longest, width: longest }], canvases);
}
