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
  if (typeof display !== 'function') throw new UserError("outputs can be shown in notebooks only: choose the kernel 'TypeScript (Q-DETR)' (notebooks/README.md)");
  display(data, metadata);
}

/** Shows markdown text. */
export function showMarkdown(text: string): void {
  showBundle({ 'text/markdown': text, 'text/plain': text });
}
