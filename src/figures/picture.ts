import { encodePng } from './png.js';
import { FONT_FILES, svgToPng } from './render.js';
import { textWidth } from './text-width.js';

/** A box to draw over an image: [x0, y0, x1, y1] in image pixels, with an optional label and colour. */
export interface PictureBox {
  box: readonly [number, number, number, number];
  label?: string;
  colour?: string;
  /** Pixels of the drawn picture; default 3. */
  thickness?: number;
  isDashed?: boolean;
}

/** A line between two points of an image, in image pixels, with a dot at its end. */
export interface PictureLine {
  from: readonly [number, number];
  to: readonly [number, number];
  colour: string;
}

/** Colours that stay apart with the common kinds of colour blindness, for boxes without one. */
const COLOURS = ['#e69f00', '#56b4e9', '#00a878', '#f0e442', '#d55e00', '#cc79a7'];
const FONT_SIZE = 13;

/** A PNG of RGB bytes [H, W, 3] or grey ones [H, W], stored without compression, so that its bytes depend on nothing but the image. */
export function plainPng(rgb: Uint8Array, width: number, height: number): Buffer {
  return encodePng(rgb, width, height, rgb.length === width * height ? 'grey' : 'rgb');
}

/** An image [H, W, 3] of RGB bytes, what is drawn over it, and a line to set below it. */
export interface Picture {
  rgb: Uint8Array;
  width: number;
  height: number;
  boxes?: readonly PictureBox[];
  /** Over the boxes, below their labels. */
  lines?: readonly PictureLine[];
  caption?: string;
}

/**
 * An image [H, W, 3] of RGB bytes with its boxes drawn over it, as PNG about `size` pixels wide (enlarged by a whole
 * number, so that pixels stay square and sharp).
 * @throws RangeError when the bytes don't fit the size.
 */
export function pictureWithBoxes(rgb: Uint8Array, width: number, height: number, boxes: readonly PictureBox[] = [], size = 512): Buffer {
  return pictureGrid([{ rgb, width, height, boxes }], 1, size);
}

/**
 * Pictures side by side in rows of `columns`, each as by {@link pictureWithBoxes}, as one PNG. All take the room of the largest.
 * @throws RangeError when the bytes of one don't fit its size.
 */
export function pictureGrid(pictures: readonly Picture[], columns = 3, size = 256): Buffer {
  const drawn = pictures.map((picture) => drawPicture(picture, size));
  const gap = pictures.length > 1 ? 12 : 0;
  const captions = pictures.some(({ caption }) => caption !== undefined) ? 24 : 0;
  const across = Math.max(...drawn.map(({ width }) => width)) + gap;
  const down = Math.max(...drawn.map(({ height }) => height)) + captions + gap;
  const cells = drawn.map(({ svg, height }, i) => {
    const caption = pictures[i].caption === undefined ? '' : `<text x="0" y="${height + 18}" font-family="DejaVu Sans" font-size="${FONT_SIZE}" fill="#1f2430">${escapeXml(pictures[i].caption)}</text>`;
    return `<g transform="translate(${across * (i % columns)},${down * Math.floor(i / columns)})">${svg}${caption}</g>`;
  });
  const width = across * Math.min(columns, pictures.length) - gap;
  const height = down * Math.ceil(pictures.length / columns) - gap;
  const frame = `width="${width}" height="${height}"`;
  return svgToPng(`<svg xmlns="http://www.w3.org/2000/svg" ${frame}><rect ${frame} fill="white"/>${cells.join('')}</svg>`, 1);
}

function drawPicture({ rgb, width, height, boxes = [], lines = [] }: Picture, size: number): { svg: string; width: number; height: number } {
  const zoom = Math.max(1, Math.round(size / width));
  const image = plainPng(rgb, width, height).toString('base64');
  const inks = boxes.map(({ colour }, i) => colour ?? COLOURS[i % COLOURS.length]);
  const frames = boxes.map(
    ({ box: [x0, y0, x1, y1], thickness = 3, isDashed = false }, i) =>
      `<rect x="${zoom * x0}" y="${zoom * y0}" width="${zoom * (x1 - x0)}" height="${zoom * (y1 - y0)}" fill="none" stroke="${inks[i]}" stroke-width="${thickness}"${isDashed ? ' stroke-dasharray="7 5"' : ''}/>`,
  );
  const strokes = lines.map(({ from: [x0, y0], to: [x1, y1], colour }) => {
    const ends = `x1="${zoom * x0}" y1="${zoom * y0}" x2="${zoom * x1}" y2="${zoom * y1}" stroke-linecap="round"`;
    return `<line ${ends} stroke="white" stroke-width="6"/><line ${ends} stroke="${colour}" stroke-width="3"/><circle cx="${zoom * x1}" cy="${zoom * y1}" r="5.5" fill="${colour}" stroke="white" stroke-width="1.5"/>`;
  });
  const labelled = boxes.flatMap(({ box: [x0, y0, x1, y1], label }, i) => (label === undefined ? [] : [{ box: [zoom * x0, zoom * y0, zoom * x1, zoom * y1] as const, label, ink: inks[i] }]));
  const frame = `width="${zoom * width}" height="${zoom * height}"`;
  const svg = `<image ${frame} image-rendering="optimizeSpeed" href="data:image/png;base64,${image}"/>${[...frames, ...strokes, ...tags(labelled, { width: zoom * width, height: zoom * height })].join('')}`;
  return { svg, width: zoom * width, height: zoom * height };
}

/** Height of a label, and how far it reaches over its box's edge on the left and right. */
const TAG = { height: 19, over: 1.5 };

type Rectangle = { left: number; top: number; width: number };

/**
 * Where a label goes: above its box at the left, or inside it at the top of the image; where another label is already, the first free corner or
 * place along the box's top edge. Only where all are taken does it lie over another.
 */
function tagPlace(width: number, [x0, y0, x1, y1]: PictureBox['box'], image: { width: number; height: number }, taken: readonly Rectangle[]): Rectangle {
  const [first, last] = [x0 - TAG.over, x1 + TAG.over - width], [above, inside, low, below] = [y0 - TAG.height, y0, y1 - TAG.height, y1];
  const usual = y0 >= TAG.height ? above : inside;
  const along = Array.from({ length: Math.max(0, Math.floor((last - first) / 8)) }, (_, i) => first + 8 * (i + 1));
  const places: [number, number][] = [[first, usual], [last, usual], [first, inside], [last, inside], [first, low], [last, low], [first, below], [last, below], ...along.map((x): [number, number] => [x, usual])];
  const rectangles = places.map(([x, top]): Rectangle => ({ left: Math.max(0, Math.min(x, image.width - width)), top, width }));
  const isFree = ({ left, top }: Rectangle): boolean =>
    top >= 0 && top + TAG.height <= image.height && taken.every((other) => left >= other.left + other.width || other.left >= left + width || Math.abs(top - other.top) >= TAG.height);
  return rectangles.find(isFree) ?? rectangles[0];
}

/** The labels of boxes in pixels of the drawn picture, each on its own ground. */
function tags(boxes: readonly { box: PictureBox['box']; label: string; ink: string }[], image: { width: number; height: number }): string[] {
  const taken: Rectangle[] = [];
  return boxes.map(({ box, label, ink }) => {
    const place = tagPlace(textWidth(label, FONT_FILES[1], FONT_SIZE) + 8, box, image, taken), { left, top, width } = place;
    taken.push(place);
    const text = `<text x="${left + 4}" y="${top + 14}" font-family="DejaVu Sans" font-weight="bold" font-size="${FONT_SIZE}" fill="#10131a">${escapeXml(label)}</text>`;
    return `<rect x="${left}" y="${top}" width="${width}" height="${TAG.height}" fill="${ink}"/>${text}`;
  });
}

const escapeXml = (text = ''): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
