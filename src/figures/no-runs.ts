import { FONT_FILES } from './render.js';
import { QUIET, type Layer } from './style.js';
import { wrapText } from './text-width.js';

const SIZE = 15;

/** The words in the middle of a panel of `width` by `height` pixels without runs: that there are none, and the command that makes them. */
export function noRuns(artefact: string, width: number, height: number, what = 'No runs yet, recorded or fresh.'): Layer {
  const text = [`${what} This makes them:`, `npx qdetr experiment ${artefact} --scale minutes`].flatMap((sentence) => wrapText(sentence, 0.94 * width, FONT_FILES[0], SIZE));
  return {
    data: { values: [{ text }] },
    mark: { type: 'text', fontSize: SIZE, lineHeight: 22, color: QUIET, align: 'center', baseline: 'middle' },
    encoding: { x: { value: width / 2 }, y: { value: height / 2 }, text: { field: 'text' } },
  };
}
