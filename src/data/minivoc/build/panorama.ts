import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { UserError } from '../../../errors.js';

/** Where panoramas come from: @pmndrs/assets (Poly Haven's HDRIs, CC0) and three's EXR decoder to read them. */
export const PANORAMA_PACKAGES = { assets: '@pmndrs/assets@1.7.0', decoder: 'three@0.169.0' } as const;

interface Decoded { width: number; height: number; data: Float32Array }
interface Loader { setDataType(type: number): unknown; parse(buffer: ArrayBuffer): Decoded }

/** Value given to the middle of the sun. */
const SUN = 100;
const REPAIRS = 4;

/**
 * Repairs what lossy compression did around the sun and lamps: blocks that lost red and green become SUN, negative values become the
 * mean of the neighbours that aren't, from the outside inwards.
 */
function repair({ width, height, data }: Decoded, channels: number): void {
  for (let at = 0; at < data.length; at += channels)
    if (Math.abs(data[at]) < 1e-3 && Math.abs(data[at + 1]) < 1e-3 && Math.abs(data[at + 2]) > 1) data.fill(SUN, at, at + 3);
  for (let pass = 0; pass < REPAIRS; pass++) {
    const source = Float32Array.from(data);
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++)
        for (let c = 0; c < 3; c++) {
          if (source[(y * width + x) * channels + c] >= 0) continue;
          let sum = 0, count = 0;
          for (let dy = -1; dy <= 1; dy++)
            for (let dx = -1; dx <= 1; dx++) {
              const value = source[(Math.min(height - 1, Math.max(0, y + dy)) * width + ((x + dx + width) % width)) * channels + c];
              if (value >= 0) { sum += value; count++; }
            }
          if (count) data[(y * width + x) * channels + c] = sum / count;
        }
  }
}

/**
 * Decodes a panorama and maps its tones: log-average luminance to 0.22, Reinhard's curve, sRGB.
 * @param sources folder in which the npm packages were installed
 * @param name file name without extension, e.g. "park"
 * @returns RGB pixels of the equirectangular picture, top row first
 * @throws UserError when a package is missing
 */
export async function readPanorama(sources: string, name: string): Promise<{ data: Buffer; width: number; height: number }> {
  const file = path.join(sources, 'node_modules/@pmndrs/assets/hdri', `${name}.exr.js`);
  const loader = path.join(sources, 'node_modules/three/examples/jsm/loaders/EXRLoader.js');
  for (const needed of [file, loader])
    if (!existsSync(needed)) throw new UserError(`${needed} is missing: npm install --prefix ${sources} -E ${PANORAMA_PACKAGES.assets} ${PANORAMA_PACKAGES.decoder}`);
  const { EXRLoader } = await import(pathToFileURL(loader).href) as { EXRLoader: new () => Loader };
  const bytes = Buffer.from(readFileSync(file, 'utf8').split('base64,')[1].replace(/["'`;\s]+$/, ''), 'base64');
  const decoder = new EXRLoader();
  const FLOAT_TYPE = 1015;
  decoder.setDataType(FLOAT_TYPE);
  const picture = decoder.parse(Uint8Array.from(bytes).buffer);
  const { width, height, data } = picture;
  const channels = data.length / (width * height);
  repair(picture, channels);
  let logSum = 0;
  for (let i = 0; i < width * height; i++)
    logSum += Math.log(1e-4 + Math.max(0, 0.2126 * data[i * channels] + 0.7152 * data[i * channels + 1] + 0.0722 * data[i * channels + 2]));
  const exposure = 0.22 / Math.exp(logSum / (width * height));
  const out = Buffer.alloc(width * height * 3);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < 3; c++) {
        const linear = Math.max(0, data[(y * width + x) * channels + c]) * exposure;
        const mapped = Math.min(1, (linear / (1 + linear)) * 1.25);
        const srgb = mapped <= 0.0031308 ? 12.92 * mapped : 1.055 * mapped ** (1 / 2.4) - 0.055;
        out[((height - 1 - y) * width + x) * 3 + c] = Math.round(srgb * 255);
      }
  return { data: out, width, height };
}
