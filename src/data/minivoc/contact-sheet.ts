import sharp from 'sharp';
import type { DetectionDataset } from '../dataset.js';
import type { Bank } from './decoded-bank.js';

/** A framed picture with lines of text under it. */
interface Tile { image: Buffer; width: number; height: number; channels: 3 | 4; caption: string[] }

const escape = (text: string): string => text.replace(/&/g, '&amp;').replace(/</g, '&lt;');

/** Lays tiles out in rows, each with its caption. */
async function drawTiles(tiles: readonly Tile[], side: number, columns: number, lines: number): Promise<Buffer> {
  const pitch = side + 6, row = side + 11 * lines + 6;
  const layers = await Promise.all(tiles.map(async ({ image, width, height, channels, caption }, i) => {
    const left = (i % columns) * pitch, top = Math.floor(i / columns) * row;
    const picture = await sharp(image, { raw: { width, height, channels } }).resize(side, side, { fit: 'inside', kernel: width < side ? 'nearest' : 'lanczos3' }).png().toBuffer();
    const text = caption.map((line, k) => `<text x="1" y="${10 + 11 * k}" font-size="9.5" font-family="DejaVu Sans, sans-serif">${escape(line.slice(0, Math.floor(side / 5)))}</text>`).join('');
    return [
      { input: picture, left, top },
      { input: Buffer.from(`<svg xmlns="http://www.w3.org/2000/svg" width="${pitch}" height="${11 * lines + 4}">${text}</svg>`), left, top: top + side },
    ];
  }));
  const width = columns * pitch, height = Math.max(1, Math.ceil(tiles.length / columns)) * row;
  return sharp({ create: { width, height, channels: 3, background: '#9fb0bd' } }).composite(layers.flat()).png().toBuffer();
}

/**
 * Draws all sprites of a class, each with its group, source and name: what to look at before a line of sprites.json is trusted.
 * @returns PNG
 */
export async function spriteSheet(bank: Bank, className: string): Promise<Buffer> {
  const tiles = bank.groups.filter((group) => group.class === className).flatMap(({ group, name, unseen, parts }) => parts.flatMap(({ source, sprites }) => sprites.map(({ sheet, rectangle: [left, top, width, height] }): Tile => {
    const image = Buffer.alloc(width * height * 4);
    for (let y = 0; y < height; y++) image.set(sheet.data.subarray(((top + y) * sheet.width + left) * 4, ((top + y) * sheet.width + left + width) * 4), y * width * 4);
    return { image, width, height, channels: 4, caption: [group.replace('BlendSwap-', 'BS-'), source === 'sweethome3d-furniture' ? name : source, unseen ? 'unseen' : ''] };
  })));
  return drawTiles(tiles, 84, 17, 3);
}

const COLOURS = ['#ff3b30', '#34c759', '#0a84ff', '#ffcc00', '#ff2dd1', '#00e5ff'];

/**
 * Draws composed images with their boxes and labels (dashed: difficult).
 * @param dataset images with boxes
 * @param indices which ones
 * @param side side of an image on the sheet in pixels
 * @returns PNG
 */
export async function imageSheet(dataset: DetectionDataset, indices: readonly number[], side = 256, columns = 6): Promise<Buffer> {
  const k = side / dataset.size;
  const tiles = await Promise.all(indices.map(async (index): Promise<Tile> => {
    const { id, image, objects } = dataset.sample(index);
    const marks = objects.map(({ label, box: [left, top, right, bottom], difficult, truncated, occluded, crowd }, i) => {
      const flags = [truncated ? 't' : '', occluded ? 'o' : '', difficult ? 'd' : '', crowd ? 'c' : ''].join('');
      const at = `x="${left * k}" y="${top * k}"`;
      return `<rect ${at} width="${(right - left) * k}" height="${(bottom - top) * k}" fill="none" stroke="${COLOURS[i % 6]}" stroke-width="2" ${difficult ? 'stroke-dasharray="5 4"' : ''}/>`
        + `<text x="${left * k + 3}" y="${top * k + 12}" font-size="11" font-family="DejaVu Sans, sans-serif" fill="#fff" stroke="#000" stroke-width="2.5" paint-order="stroke">${dataset.classes[label]} ${flags}</text>`;
    });
    const svg = Buffer.from(`<svg xmlns="http://www.w3.org/2000/svg" width="${side}" height="${side}">${marks.join('')}</svg>`);
    const large = await sharp(image, { raw: { width: dataset.size, height: dataset.size, channels: 3 } }).resize(side, side, { kernel: 'nearest' }).png().toBuffer();
    const { data, info } = await sharp(large).composite([{ input: svg }]).removeAlpha().raw().toBuffer({ resolveWithObject: true });
    return { image: data, width: info.width, height: info.height, channels: 3, caption: [id] };
  }));
  return drawTiles(tiles, side, columns, 1);
}
