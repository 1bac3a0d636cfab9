import test from 'ava';
import { FONT_FILES } from '../../src/figures/render.js';
import { textWidth } from '../../src/figures/text-width.js';

test('widths are those that the font states', (t) => {
  // fontTools 4.68.0, DejaVu Sans 2.37, 2048 units per em: A 1401, i 569, space 651, τ 1233, ± 1716
  const units = (text: string): number => Math.round(textWidth(text, FONT_FILES[0], 2048));
  t.is(units('A'), 1401);
  t.is(units('i'), 569);
  t.is(units(' '), 651);
  t.is(units('τ'), 1233);
  t.is(units('±'), 1716);
  t.is(units('Ai'), 1401 + 569);
});

test('bold is wider, twice the size twice as wide, nothing is nothing', (t) => {
  t.true(textWidth('Baseline', FONT_FILES[1], 15) > textWidth('Baseline', FONT_FILES[0], 15));
  t.is(textWidth('Baseline', FONT_FILES[0], 30), 2 * textWidth('Baseline', FONT_FILES[0], 15));
  t.is(textWidth('', FONT_FILES[0], 15), 0);
});
