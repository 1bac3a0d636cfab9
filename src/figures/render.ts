import path from 'node:path';
import { Resvg, type RenderedImage } from '@resvg/resvg-js';
import * as vega from 'vega';
import * as vegaLite from 'vega-lite';
import { writeFilesAtomic } from '../files.js';
import { indexedPng } from './png.js';
import { textWidth } from './text-width.js';

/** A figure: a Vega-Lite 5 specification with its data inside. */
export type Figure = vegaLite.TopLevelSpec;

/** The fonts that figures use: inside an npm package, so that a machine without any font draws the same picture. */
export const FONT_FILES = ['DejaVuSans.ttf', 'DejaVuSans-Bold.ttf'].map((file) => path.join('node_modules/dejavu-fonts-ttf/ttf', file));

// Without a browser, vega guesses how wide text is and leaves too much room for it: let it measure.
const { textMetrics } = vega as unknown as { textMetrics: { width: (item: TextItem, text: unknown) => number } };
interface TextItem {
  fontSize?: number;
  fontWeight?: string | number;
}
textMetrics.width = ({ fontSize, fontWeight }, text) =>
  textWidth(String(text ?? ''), FONT_FILES[fontWeight === 'bold' || Number(fontWeight) >= 600 ? 1 : 0], fontSize ?? 11);

/** Compiles a figure to Vega. Vega-Lite's warnings go to `warn` (default: nowhere; the tests want none). */
export function compileFigure(figure: Figure, warn: (message: string) => void = () => {}): vega.Spec {
  const logger = {
    level: () => logger,
    error: (...parts: readonly unknown[]) => (warn(parts.map(String).join(' ')), logger),
    warn: (...parts: readonly unknown[]) => (warn(parts.map(String).join(' ')), logger),
    info: () => logger,
    debug: () => logger,
  };
  return vegaLite.compile(figure, { logger: logger as unknown as vega.LoggerInterface }).spec;
}

/** Draws a figure as SVG. The same figure gives the same bytes. */
export async function figureToSvg(figure: Figure): Promise<string> {
  const view = new vega.View(vega.parse(compileFigure(figure)), { renderer: 'none' });
  try {
    return titled(await view.toSVG());
  } finally {
    view.finalize();
  }
}

/** Marks that lead somewhere with the title that browsers show who points at them: vega writes it as a label for screen readers alone. */
const titled = (svg: string): string => svg.replace(/(<a [^>]*>)(<\w+ aria-label="([^"]*)")/g, '$1<title>$3</title>$2');

/** Rasterizes an SVG with the project's own fonts, `scale` pixels for each of its units. */
export function svgToPng(svg: string, scale = 2): Buffer {
  return Buffer.from(rasterized(svg, scale).asPng());
}

function rasterized(svg: string, scale: number): RenderedImage {
  const options = {
    fitTo: { mode: 'zoom' as const, value: scale },
    font: { loadSystemFonts: false, fontFiles: FONT_FILES, defaultFontFamily: 'DejaVu Sans' },
  };
  const plain = svg.replaceAll('image-rendering: pixelated;', ''); // of the two that vega writes the renderer knows the other one
  return new Resvg(plain, options).render();
}

/** Draws a figure as SVG and PNG. */
export async function renderFigure(figure: Figure, scale = 2): Promise<{ svg: string; png: Buffer }> {
  const svg = await figureToSvg(figure);
  return { svg, png: svgToPng(svg, scale) };
}

/**
 * Writes `folder`/`name`.vl.json, .svg and .png (with a palette where the colours are few), and what else belongs to the figure, as one set: all
 * of it or nothing.
 * @param more further files of the set: name in `folder`, and text
 * @returns the paths, those of `more` first
 * @throws UserError when a file can't be written; the set that was there stays.
 */
export async function writeFigure(name: string, figure: Figure, folder = 'figures', more: readonly (readonly [name: string, text: string])[] = []): Promise<string[]> {
  const svg = await figureToSvg(figure), image = rasterized(svg, 2);
  const png = indexedPng(image.pixels, image.width, image.height) ?? image.asPng();
  const files: (readonly [string, string | Uint8Array])[] = [
    ...more,
    [`${name}.vl.json`, `${JSON.stringify(figure, null, 2)}\n`],
    [`${name}.svg`, `${svg}\n`],
    [`${name}.png`, png],
  ];
  const set = files.map(([file, content]) => [path.join(folder, file), content] as const);
  writeFilesAtomic(set);
  return set.map(([file]) => file);
}
