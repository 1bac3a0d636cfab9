import { showBundle } from './display.js';
import { pictureGrid, pictureWithBoxes, type Picture, type PictureBox } from './picture.js';
import { renderFigure, type Figure } from './render.js';

export { showBundle, showMarkdown, type MimeBundle } from './display.js';

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

/**
 * Shows pictures side by side, `columns` in a row, each about `size` pixels wide.
 * @throws RangeError when the bytes of one don't fit its size.
 */
export function showImages(pictures: readonly Picture[], { columns = 3, size = 256 } = {}): void {
  const text = pictures.map(({ caption, width, height }) => caption ?? `<image ${width}x${height}>`).join('\n');
  showBundle({ 'image/png': pictureGrid(pictures, columns, size).toString('base64'), 'text/plain': text });
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
