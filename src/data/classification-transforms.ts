import { RandomStream } from '../tensor/random.js';
import { roundHalfEven, type ImageSize, type TransformPlan } from './transforms.js';

/** Sides of the crop that a classifier sees, and the shorter side of evaluated images before their crop, as torchvision's ResNets were trained and evaluated. */
export interface ClassificationTransforms {
  side: number;
  resizedTo: number;
}

/** torchvision's: crops of 224 x 224, evaluated images 256 on the shorter side. */
export const IMAGENET_TRANSFORMS: ClassificationTransforms = { side: 224, resizedTo: 256 };

/** Area of a crop over that of the image, and its width over its height: RandomResizedCrop's defaults. */
const AREA = [0.08, 1] as const, RATIO = [3 / 4, 4 / 3] as const;
/** Crops that are tried before the middle is taken. */
const TRIES = 10;
/** Stream of random numbers. */
const CROP = 112;

/**
 * A random crop of an image, resized to a square, mirrored every other time: torchvision.transforms.RandomResizedCrop and RandomHorizontalFlip. Draws, for each try: area,
 * logarithm of the ratio, and where the crop fits its top and left; then the mirror.
 * @param image its size in the file
 */
export function randomResizedCrop(image: ImageSize, side: number, { seed, step, position }: { seed: number; step: number; position: number }): TransformPlan {
  const random = new RandomStream(seed, CROP, step, position), { width, height } = image;
  const planned = (x: number, y: number, w: number, h: number): TransformPlan => ({ flip: random.uniform() < 0.5, crop: { size: image, region: { x, y, width: w, height: h } }, size: { width: side, height: side } });
  for (let tried = 0; tried < TRIES; tried++) {
    const area = random.uniform(...AREA) * width * height, ratio = Math.exp(random.uniform(Math.log(RATIO[0]), Math.log(RATIO[1])));
    const w = Math.round(Math.sqrt(area * ratio)), h = Math.round(Math.sqrt(area / ratio));
    if (w < 1 || w > width || h < 1 || h > height) continue;
    const y = random.integer(height - h + 1), x = random.integer(width - w + 1);
    return planned(x, y, w, h);
  }
  const ratio = width / height;
  const [w, h] = ratio < RATIO[0] ? [width, Math.min(height, Math.round(width / RATIO[0]))] : ratio > RATIO[1] ? [Math.min(width, Math.round(height * RATIO[1])), height] : [width, height];
  return planned((width - w) >> 1, (height - h) >> 1, w, h);
}

/** The middle of an image whose shorter side was resized: torchvision.transforms.Resize and CenterCrop. */
export function centreCrop({ width, height }: ImageSize, { side, resizedTo }: ClassificationTransforms): TransformPlan {
  const size = width < height ? { width: resizedTo, height: Math.trunc((resizedTo * height) / width) } : { width: Math.trunc((resizedTo * width) / height), height: resizedTo };
  const region = { x: roundHalfEven((size.width - side) / 2), y: roundHalfEven((size.height - side) / 2), width: side, height: side };
  return { flip: false, crop: { size, region }, size: { width: side, height: side } };
}
