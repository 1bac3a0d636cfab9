import test from 'ava';
import fc from 'fast-check';
import { claimsChart, type ClaimRow } from '../../src/figures/claims-chart.js';
import { compileFigure, figureToSvg, FONT_FILES } from '../../src/figures/render.js';
import { textWidth, wrapText } from '../../src/figures/text-width.js';

const row: ClaimRow = { claim: 'DA gains more the fewer the bits.', statistic: 'gain at 2 bits minus gain at 4 bits, AP50 points', runs: 'recorded, 3 seeds', estimate: 0.4, low: -0.7, high: 1.5, threshold: 0, side: 'above', verdict: 'undecided' };
const rows: ClaimRow[] = [
  row, { ...row, verdict: 'reproduced', estimate: 2.1, low: 1.2, high: 3 }, { ...row, verdict: 'not reproduced', estimate: -12.345, low: -14, high: -10, side: 'below', threshold: -20 },
  { ...row, low: null, high: null }, { ...row, estimate: null, low: null, high: null, threshold: 1 },
];

test('each claim with its value, interval, threshold and verdict; without warnings, finite numbers only', async (t) => {
  const warnings: string[] = [];
  compileFigure(claimsChart(rows), (message) => warnings.push(message));
  t.deepEqual(warnings, []);
  const svg = await figureToSvg(claimsChart(rows));
  t.notRegex(svg, /NaN|Infinity|undefined|null/);
  for (const text of ['1 reproduced, 1 not reproduced, 3 undecided', '−12.3', '−14 to −10', '−0.7 to 1.5', 'no interval', 'no runs', '>not reproduced<', '>−20<']) t.true(svg.includes(text), text);
});

test('the shaded side is the one that the claim predicts', async (t) => {
  const shaded = async (claim: ClaimRow): Promise<string> => (await figureToSvg(claimsChart([claim]))).match(/<path[^>]*#00735a"[^>]*opacity="0.1"[^>]*>|<path[^>]*opacity="0.1"[^>]*>/)?.[0] ?? '';
  t.not(await shaded(row), '');
  t.not(await shaded(row), await shaded({ ...row, side: 'below' }));
});

test('without verdicts the chart says so', async (t) => {
  t.true((await figureToSvg(claimsChart([]))).includes('No verdicts yet'));
});

test('wrapped text loses no word, and no line of several words is too wide', (t) => {
  const word = fc.stringMatching(/^[a-z]{1,14}$/);
  fc.assert(fc.property(fc.array(word, { maxLength: 30 }), fc.integer({ min: 20, max: 400 }), (list, width) => {
    const lines = wrapText(list.join(' '), width, FONT_FILES[0], 15);
    t.is(lines.join(' '), list.join(' '));
    for (const line of lines) t.true(!line.includes(' ') || textWidth(line, FONT_FILES[0], 15) <= width);
  }));
  t.deepEqual(wrapText('', 100, FONT_FILES[0], 15), []);
});
