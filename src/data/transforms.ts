import { UserError } from '../errors.js';
import { RandomStream } from '../tensor/random.js';
import type { AnnotatedObject } from './dataset.js';
import type { Region } from './pillow-resize.js';

/** Width and height, in pixels. */
export interface ImageSize { width: number; height: number }

/** What is done to the images of a data set. */
export interface TransformSettings {
  /** Lengths of the shorter side, in pixels; one of them at random. */
  sizes: readonly number[];
  /** The longer side isn't made longer than this. */
  maxSize: number;
  /** Probability of the mirror image. */
  flip: number;
  /** Half of the images are resized to one of `from` (shorter side) and cropped to sides of `least` to `most` pixels before; none where it is left out. */
  crop?: { from: readonly number[]; least: number; most: number };
}

/** What is done to an image, in this order. Every step but the last may be missing. */
export interface TransformPlan {
  flip: boolean;
  /** To this size, and of that this part. */
  crop?: { size: ImageSize; region: Region };
  size: ImageSize;
}

/** Training as in facebookresearch/detr, datasets/coco.py, make_coco_transforms('train'). */
export const DETR_TRAINING: TransformSettings = { sizes: Array.from({ length: 11 }, (_, i) => 480 + 32 * i), maxSize: 1333, flip: 0.5, crop: { from: [400, 500, 600], least: 384, most: 600 } };

/** Evaluation as in facebookresearch/detr, make_coco_transforms('val'). */
export const DETR_EVALUATION: TransformSettings = { sizes: [800], maxSize: 1333, flip: 0 };

/** The same transforms for smaller images: every length times `factor`, rounded. */
export function scaledTransforms({ sizes, maxSize, flip, crop }: TransformSettings, factor: number): TransformSettings {
  const scaled = (length: number): number => Math.max(1, Math.round(length * factor));
  return { sizes: sizes.map(scaled), maxSize: scaled(maxSize), flip, ...(crop && { crop: { from: crop.from.map(scaled), least: scaled(crop.least), most: scaled(crop.most) } }) };
}

/**
 * @throws UserError that names the wrong setting
 */
export function checkTransforms({ sizes, maxSize, flip, crop }: TransformSettings): void {
  const whole = (name: string, lengths: readonly number[]): void => {
    const wrong = lengths.length === 0 ? 'empty' : lengths.find((length) => !Number.isInteger(length) || length < 1);
    if (wrong !== undefined) throw new UserError(`'${name}' of the transforms is ${wrong}: give whole numbers of pixels from 1`);
  };
  whole('sizes', sizes);
  whole('maxSize', [maxSize]);
  if (!(flip >= 0 && flip <= 1)) throw new UserError(`'flip' of the transforms is ${flip}: give a probability, from 0 to 1`);
  if (!crop) return;
  whole('crop.from', crop.from);
  whole('crop.least', [crop.least]);
  whole('crop.most', [crop.most]);
  if (crop.least > crop.most || crop.least > Math.min(...crop.from)) throw new UserError(`'crop.least' of the transforms is ${crop.least}, more than 'crop.most' or a length of 'crop.from': give at most ${Math.min(crop.most, ...crop.from)}`);
}

/** Python's round(): halves go to the even neighbour. */
export const roundHalfEven = (x: number): number => (x - Math.floor(x) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x));

/**
 * Size of an image whose shorter side gets `size` pixels, or as many as keep the longer one within `maxSize`: get_size_with_aspect_ratio of facebookresearch/detr,
 * roundings included: these make the longer side a little longer than `maxSize` at times. Of images that are twenty times as long as wide, which DETR would make still
 * longer, or no pixel wide, the longer side is {@link longestSide} and the shorter one 1 at least.
 */
export function sizeWithAspectRatio({ width, height }: ImageSize, size: number, maxSize?: number): ImageSize {
  const shorter = Math.min(width, height), longer = Math.max(width, height);
  const length = maxSize !== undefined && (longer / shorter) * size > maxSize ? Math.max(1, roundHalfEven((maxSize * shorter) / longer)) : size;
  if (shorter === length) return { width, height };
  const other = Math.min(Math.trunc((length * longer) / shorter), maxSize === undefined ? Infinity : longestSide({ sizes: [size], maxSize }));
  return width < height ? { width: length, height: other } : { width: other, height: length };
}

/** Backbones halve an image five times: canvases have multiples of this as sides. */
export const CANVAS_STEP = 32;

/** Length that no side exceeds after transforms: the longest one rounded up to a canvas. */
export const longestSide = ({ sizes, maxSize }: Pick<TransformSettings, 'sizes' | 'maxSize'>): number => CANVAS_STEP * Math.ceil(Math.max(maxSize, ...sizes) / CANVAS_STEP);

/** Stream of random numbers that plans use. */
const TRANSFORM = 111;

/** What says which random numbers a plan is made with: `position` is that of the image in the batch. */
export interface PlanSource { seed: number; step: number; position: number }

/**
 * What is done to an image in a training step: a function of the image's size, the settings, the seed, the step and the position alone. Draws, in this order: mirror,
 * branch, and in the branch with a crop: length, width, height, top, left; then the final length.
 * @param image its size in the file
 */
export function transformPlan(image: ImageSize, { sizes, maxSize, flip, crop }: TransformSettings, { seed, step, position }: PlanSource): TransformPlan {
  const random = new RandomStream(seed, TRANSFORM, step, position);
  const oneOf = (lengths: readonly number[]): number => lengths[random.integer(lengths.length)];
  const between = (low: number, high: number): number => low + random.integer(high - low + 1);
  const isMirrored = random.uniform() < flip;
  if (!crop || random.uniform() < 0.5) return { flip: isMirrored, size: sizeWithAspectRatio(image, oneOf(sizes), maxSize) };
  const size = sizeWithAspectRatio(image, oneOf(crop.from));
  const width = between(crop.least, Math.min(size.width, crop.most)), height = between(crop.least, Math.min(size.height, crop.most));
  const y = between(0, size.height - height), x = between(0, size.width - width);
  return { flip: isMirrored, crop: { size, region: { x, y, width, height } }, size: sizeWithAspectRatio({ width, height }, oneOf(sizes), maxSize) };
}

/** What is done to an image that is evaluated: nothing is random. */
export const evaluationPlan = (image: ImageSize, { sizes, maxSize }: TransformSettings): TransformPlan => ({ flip: false, size: sizeWithAspectRatio(image, sizes[0], maxSize) });

type Box = AnnotatedObject['box'];

/** A box of the mirror image. @param width of the image, in pixels */
export const flipBox = ([left, top, right, bottom]: Box, width: number): Box => [width - right, top, width - left, bottom];

/** A box in a resized image. */
export const resizeBox = ([left, top, right, bottom]: Box, from: ImageSize, to: ImageSize): Box =>
  [left * (to.width / from.width), top * (to.height / from.height), right * (to.width / from.width), bottom * (to.height / from.height)];

/** What of a box lies in a region, in pixels from its upper left corner; undefined where that is nothing. */
export function cropBox([left, top, right, bottom]: Box, { x, y, width, height }: Region): Box | undefined {
  const inside = (value: number, most: number): number => Math.min(Math.max(value, 0), most);
  const box: Box = [inside(left - x, width), inside(top - y, height), inside(right - x, width), inside(bottom - y, height)];
  return box[2] > box[0] && box[3] > box[1] ? box : undefined;
}

/**
 * Objects of an image after a plan, boxes in pixels of the transformed image. An object of which a crop leaves nothing is dropped.
 * @param objects with boxes in pixels of the image in its file; unchanged
 * @param image its size in the file
 */
export function transformObjects(objects: readonly AnnotatedObject[], image: ImageSize, { flip, crop, size }: TransformPlan): AnnotatedObject[] {
  return objects.flatMap((object) => {
    const mirrored = flip ? flipBox(object.box, image.width) : object.box;
    const box = crop ? cropBox(resizeBox(mirrored, image, crop.size), crop.region) : mirrored;
    return box ? [{ ...object, box: resizeBox(box, crop?.region ?? image, size) }] : [];
  });
}
