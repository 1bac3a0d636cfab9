import { renderFigure, type Figure } from './render.js';
import { pictureWithBoxes, type PictureBox } from './picture.js';
import { UserError } from '../errors.js';

/** One output in several forms; the reader's program takes the richest that it knows. */
export type MimeBundle = Record<string, unknown>;

/** Where the notebook's kernel and the headless runner wait for outputs (notebooks/kernel/cell-executor.cjs). */
const DISPLAY = Symbol.for('qdetr.display');

/**
 * Shows one output with several MIME types in the running cell.
 * @throws UserError outside of a notebook run by this project's kernel.
 */
export function showBundle(data: MimeBundle, metadata: Record<string, unknown> = {}): void {
  const display = (globalThis as Record<symbol, unknown>)[DISPLAY];
  if (typeof display !== 'function') throw new UserError("outputs can be shown in notebooks only: choose the kernel 'TypeScript (Q-DETR)' (notebooks/kernel/README.md)");
  display(data, metadata);
}

/** Shows a figure as live Vega-Lite (JupyterLab draws it) and as PNG (GitHub, printing), `scale` pixels a unit. */
export async function showFigure(figure: Figure, scale = 1.5): Promise<void> {
  const { png } = await renderFigure(figure, scale);
  showBundle({ 'application/vnd.vegalite.v5+json': figure, 'image/png': png.toString('base64'), 'text/plain': '<figure>' });
}

/**
 * Shows an image [H, W, 3] of RGB bytes, with labelled boxes where given.
 * @throws RangeError when the bytes don't fit the size.
 */
export function showImage(rgb: Uint8Array, width: number, height: number, boxes: readonly PictureBox[] = []): void {
  showBundle({ 'image/png': pictureWithBoxes(rgb, width, height, boxes).toString('base64'), 'text/plain': `<image ${width}x${height}>` });
}

/** A table that can be shown: arquero's tables are such. */
export interface ShowableTable {
  toHTML(options?: { limit?: number }): string;
  toMarkdown(options?: { limit?: number }): string;
}

/** Shows a table as HTML and as text; at most `limit` rows. */
export function showTable(table: ShowableTable, limit = 100): void {
  showBundle({ 'text/html': table.toHTML({ limit }), 'text/plain': table.toMarkdown({ limit }) });
}

/** Shows markdown text. */
export function showMarkdown(text: string): void {
  showBundle({ 'text/markdown': text, 'text/plain': text });
}
