import { UserError, messageOf } from '../errors.js';

/** What becomes of a broken image or annotation: everything stops, or it is left out and reported. */
export type OnBroken = 'stop' | 'skip';

/** Broken images and annotations of a data set, each once. */
export interface BrokenItems {
  readonly onBroken: OnBroken;
  /** What was left out: which image or annotation, and why, in one sentence. */
  readonly items: readonly { name: string; reason: string }[];
  /**
   * Says that something is broken.
   * @param name of the image or annotation
   * @param reason the error, which names the file
   * @throws UserError with the reason, where `onBroken` is `stop`
   */
  report(name: string, reason: unknown): void;
}

/** Broken items, none yet. @param told hears of each item that is left out, once */
export function brokenItems(onBroken: OnBroken, told?: (reason: string) => void): BrokenItems {
  const items = new Map<string, { name: string; reason: string }>();
  return {
    onBroken,
    get items() {
      return [...items.values()];
    },
    report(name, reason) {
      if (onBroken === 'stop') throw reason instanceof UserError ? reason : new UserError(messageOf(reason));
      if (items.has(name)) return;
      items.set(name, { name, reason: messageOf(reason) });
      told?.(messageOf(reason));
    },
  };
}
