import { decodedBank, openBank } from './bank.js';
import { composeInThreads } from './compose-in-threads.js';
import { composedSplit, type MiniVoc } from './composed-split.js';
import { checkSettings, MINIVOC_SEED, type MiniVocSettings } from './settings.js';

export type { MiniVoc } from './composed-split.js';

/**
 * Opens a split of MiniVOC. Image `index` depends on (seed, split, index), the bank and the composer's version, and on nothing else.
 * @throws UserError when a setting isn't allowed or a file of the bank is missing or damaged
 */
export function openMiniVoc({ size, split, seed = MINIVOC_SEED }: MiniVocSettings): MiniVoc {
  checkSettings({ size, split, seed } as { size: number; split: string; seed: number });
  const settings = { size, split, seed };
  return {
    ...composedSplit(openBank(), settings),
    compose: (ranges, made) => composeInThreads({ bank: decodedBank(), settings, sprites: false }, ranges, made),
    composeSprites: (ranges, made) => composeInThreads({ bank: decodedBank(), settings, sprites: true }, ranges, made),
  };
}
