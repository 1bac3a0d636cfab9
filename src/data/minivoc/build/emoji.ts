import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import sharp from 'sharp';
import { UserError } from '../../../errors.js';
import type { Picture } from './render-mesh.js';

/** A set of emoji pictures, one per npm package. */
export interface EmojiVendor {
  /** Short name used in the index and in `except` lists. */
  name: string;
  package: string;
  version: string;
  licence: string;
  author: string;
}

/** Sets whose licences allow redistribution with attribution and without share-alike. */
export const EMOJI_VENDORS: readonly EmojiVendor[] = [
  { name: 'fluent-3d', package: '@lobehub/fluent-emoji-3d', version: '1.1.0', licence: 'MIT', author: 'Microsoft Corporation; packaged by LobeHub' },
  { name: 'fluent-flat', package: '@iconify-json/fluent-emoji-flat', version: '1.2.6', licence: 'MIT', author: 'Microsoft Corporation' },
  { name: 'noto', package: '@iconify-json/noto', version: '1.2.9', licence: 'Apache-2.0', author: 'Google Inc.' },
  { name: 'noto-v1', package: '@iconify-json/noto-v1', version: '1.2.5', licence: 'Apache-2.0', author: 'Google Inc.' },
  { name: 'twemoji', package: '@iconify-json/twemoji', version: '1.2.5', licence: 'CC-BY-4.0', author: 'Twitter, Inc. and other contributors' },
];

/** Finds one emoji of a set by its code points ("1F468-1F3FB"); undefined where the set has none. */
export type EmojiReader = (codePoints: string) => Promise<Picture | undefined>;

interface Icon { body: string; left?: number; top?: number; width?: number; height?: number }
interface IconSet { icons: Record<string, Icon>; aliases?: Record<string, { parent: string }>; width?: number; height?: number }

const RASTER_SIDE = 176;

async function rasterize(source: Buffer | string): Promise<Picture> {
  const image = typeof source === 'string' ? sharp(Buffer.from(source), { density: 432 }) : sharp(source);
  const { data, info } = await image.resize(RASTER_SIDE, RASTER_SIDE, { fit: 'inside' }).ensureAlpha().raw().toBuffer({ resolveWithObject: true });
  return { data, width: info.width, height: info.height };
}

/**
 * Opens an emoji set.
 * @param sources folder in which the npm packages were installed
 * @throws UserError when the package is missing or has another version
 */
export function openEmoji(vendor: EmojiVendor, sources: string): EmojiReader {
  const folder = path.join(sources, 'node_modules', vendor.package);
  const manifest = path.join(folder, 'package.json');
  const wanted = `install it there: npm install --prefix ${sources} -E ${vendor.package}@${vendor.version}`;
  if (!existsSync(manifest)) throw new UserError(`${manifest} is missing: ${wanted}`);
  const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string };
  if (version !== vendor.version) throw new UserError(`${manifest} has version ${version} instead of ${vendor.version}: ${wanted}`);
  const spellings = (codePoints: string): string[] => {
    const key = codePoints.toLowerCase();
    return [key, `${key}-fe0f`, key.replace(/-200d.*/, '-fe0f$&'), `${key.replace(/-200d.*/, '-fe0f$&')}-fe0f`];
  };
  if (vendor.name === 'fluent-3d')
    return async (codePoints) => {
      const file = spellings(codePoints).map((key) => path.join(folder, 'assets', `${key}.webp`)).find((name) => existsSync(name));
      return file ? rasterize(readFileSync(file)) : undefined;
    };
  const set = JSON.parse(readFileSync(path.join(folder, 'icons.json'), 'utf8')) as IconSet;
  // The old Noto set lists no code points; its names are those of the new one.
  const named = vendor.name === 'noto-v1' ? path.join(sources, 'node_modules/@iconify-json/noto') : folder;
  const names = JSON.parse(readFileSync(path.join(named, 'chars.json'), 'utf8')) as Record<string, string>;
  return async (codePoints) => {
    const name = spellings(codePoints).map((key) => names[key]).find((found) => found !== undefined);
    const icon = name === undefined ? undefined : set.icons[name] ?? set.icons[set.aliases?.[name]?.parent ?? ''];
    if (!icon) return undefined;
    const width = icon.width ?? set.width ?? 16, height = icon.height ?? set.height ?? 16;
    const box = `${icon.left ?? 0} ${icon.top ?? 0} ${width} ${height}`;
    return rasterize(`<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="${box}" width="${width}" height="${height}">${icon.body}</svg>`);
  };
}
