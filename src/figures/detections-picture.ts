import sharp from 'sharp';
import { FONT_FILES, svgToPng } from './render.js';
import { textWidth } from './text-width.js';

/** A detection to draw: box in pixels of the image. */
export interface DrawnDetection {
  name: string;
  score: number;
  box: readonly [left: number, top: number, right: number, bottom: number];
}

/** RGB pixels [height, width, 3]. */
export interface DrawnImage {
  pixels: Uint8Array;
  width: number;
  height: number;
}

/** Colours of classes, in the order in which they are needed: far apart, and light or dark enough for their text. */
const COLOURS = ['#ffb000', '#4cc9f0', '#ff5d8f', '#52d681', '#b388ff', '#ff7a45', '#2ec4b6', '#f2e863', '#8ecbff', '#ef476f', '#a7c957', '#e0aaff'];
const DARK = '#14161c';
/** The longer side that a small picture is enlarged to, by a whole number. */
const LEAST_SIDE = 640;

interface Rectangle { left: number; top: number; width: number; height: number }

const overlap = (a: Rectangle, b: Rectangle): number =>
  Math.max(0, Math.min(a.left + a.width, b.left + b.width) - Math.max(a.left, b.left)) * Math.max(0, Math.min(a.top + a.height, b.top + b.height) - Math.max(a.top, b.top));

const escapeXml = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');

/** Where a label goes: at a corner of its box, inside the image, where it hides the least of other labels. */
function labelPlace(box: Rectangle, size: { width: number; height: number }, image: { width: number; height: number }, taken: readonly Rectangle[]): Rectangle {
  const right = box.left + box.width - size.width, bottom = box.top + box.height;
  const corners = [[box.left, box.top - size.height], [box.left, box.top], [right, box.top - size.height], [right, box.top], [box.left, bottom - size.height], [box.left, bottom], [right, bottom]];
  const places = corners.map(([left, top]): Rectangle => ({ ...size, left: Math.max(0, Math.min(left, image.width - size.width)), top: Math.max(0, Math.min(top, image.height - size.height)) }));
  const hidden = places.map((place, i) => taken.reduce((sum, other) => sum + overlap(place, other), 0) + (place.top === corners[i][1] ? 0 : 1)); // where the corner itself has room comes first
  return places[hidden.indexOf(Math.min(...hidden))];
}

/**
 * An image with its detections: a box and a label with name and score for each, a colour for each class; likelier ones over others. Lines and
 * letters grow with the image; small images are enlarged by a whole number.
 * @param detections likeliest first
 * @returns PNG
 */
export async function detectionsPicture({ pixels, width, height }: DrawnImage, detections: readonly DrawnDetection[]): Promise<Buffer> {
  const zoom = Math.max(1, Math.floor(LEAST_SIDE / Math.max(width, height)));
  const image = { width: width * zoom, height: height * zoom };
  const unit = Math.max(1, Math.sqrt(image.width * image.height) / 700), line = 2.6 * unit, font = 14 * unit;
  const names = [...new Set(detections.map(({ name }) => name))];
  const drawn = detections.map(({ name, score, box }) => {
    const [left, right] = [box[0], box[2]].map((x) => Math.max(line / 2, Math.min(image.width - line / 2, x * zoom))), [top, bottom] = [box[1], box[3]].map((y) => Math.max(line / 2, Math.min(image.height - line / 2, y * zoom)));
    return { name, percent: `${Math.round(100 * score)}`, colour: COLOURS[names.indexOf(name) % COLOURS.length], frame: { left, top, width: Math.max(1, right - left), height: Math.max(1, bottom - top) } };
  });
  const rectangle = ({ left, top, width: w, height: h }: Rectangle, more: string): string => `<rect x="${left.toFixed(2)}" y="${top.toFixed(2)}" width="${w.toFixed(2)}" height="${h.toFixed(2)}" ${more}/>`;
  const frames = [...drawn].reverse().map(({ frame, colour }) =>
    rectangle(frame, `rx="${2 * unit}" fill="${colour}" fill-opacity="0.08" stroke="${DARK}" stroke-opacity="0.55" stroke-width="${line + 1.8 * unit}"`)
    + rectangle(frame, `rx="${2 * unit}" fill="none" stroke="${colour}" stroke-width="${line}"`));
  const taken: Rectangle[] = [];
  const labels = drawn.map(({ name, percent, colour, frame }) => {
    const nameWidth = textWidth(name, FONT_FILES[1], font), pad = 5 * unit, gap = 5 * unit;
    const size = { width: nameWidth + gap + textWidth(percent, FONT_FILES[0], font) + 2 * pad, height: 1.45 * font };
    const corner = { ...frame, left: frame.left - line / 2, top: frame.top - line / 2, width: frame.width + line, height: frame.height + line };
    const place = labelPlace(corner, size, image, taken), base = place.top + 1.07 * font;
    taken.push(place);
    const text = (x: number, weight: string, words: string): string => `<text x="${x.toFixed(2)}" y="${base.toFixed(2)}" font-family="DejaVu Sans" font-weight="${weight}" font-size="${font}" fill="${DARK}">${escapeXml(words)}</text>`;
    return rectangle(place, `rx="${2.5 * unit}" fill="${colour}"`) + text(place.left + pad, 'bold', name) + text(place.left + pad + nameWidth + gap, 'normal', percent);
  });
  const overlay = svgToPng(`<svg xmlns="http://www.w3.org/2000/svg" width="${image.width}" height="${image.height}">${[...frames, ...labels].join('')}</svg>`, 1);
  const enlarged = await sharp(pixels, { raw: { width, height, channels: 3 } }).resize(image.width, image.height, { kernel: 'nearest' }).raw().toBuffer();
  return sharp(enlarged, { raw: { ...image, channels: 3 } }).composite([{ input: overlay }]).removeAlpha().png().toBuffer();
}
