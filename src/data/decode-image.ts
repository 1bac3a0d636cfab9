import sharp from 'sharp';
import { UserError, messageOf } from '../errors.js';
import { mirrorPixels } from './mirror-pixels.js';
import { pillowResize } from './pillow-resize.js';
import type { TransformPlan } from './transforms.js';

/** RGB pixels [height, width, 3]. */
export interface DecodedImage { pixels: Uint8Array; width: number; height: number }

/** An image to decode, of the size that its annotation says, and what is done to it then. */
export interface ImageTask { file: string; width: number; height: number; plan: TransformPlan }

/**
 * Decodes an image file to RGB as Pillow's `convert('RGB')` does, byte for byte: embedded colour profiles and EXIF orientation change nothing, grey becomes three
 * channels, transparency is dropped. JPEG files in CMYK alone go through colour management, which Pillow spares.
 * @throws UserError that names the file, when it is missing, cut off or no image
 */
export async function decodeImage(file: string): Promise<DecodedImage> {
  try {
    const { data, info } = await sharp(file, { ignoreIcc: true, failOn: 'error' }).toColourspace('srgb').removeAlpha().raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
    return { pixels: data, width: info.width, height: info.height };
  } catch (error) {
    throw new UserError(`${file} can't be decoded (${messageOf(error).trim()}): get the file again, or skip what is broken`);
  }
}

/**
 * Decodes an image and does what the plan says.
 * @returns RGB of the plan's size
 * @throws UserError as {@link decodeImage} does, and when the file has another size than its annotation says
 */
export async function decodeAndTransform({ file, width, height, plan: { flip, crop, size } }: ImageTask): Promise<DecodedImage> {
  const image = await decodeImage(file);
  if (image.width !== width || image.height !== height)
    throw new UserError(`${file} has ${image.width}x${image.height} pixels, but its annotation says ${width}x${height}: unpack the data set again, or skip what is broken`);
  let { pixels } = image;
  if (flip) pixels = mirrorPixels(pixels, width, height);
  if (crop) pixels = pillowResize(pixels, width, height, crop.size.width, crop.size.height, crop.region);
  const from = crop?.region ?? image;
  return { pixels: pillowResize(pixels, from.width, from.height, size.width, size.height), ...size };
}
