import test from 'ava';
import fc from 'fast-check';
import { claimsChart, type ClaimRow } from '../../src/figures/claims-chart.js';
import { compileFigure, figureToSvg, FONT_FILES } from '../../src/figures/render.js';
import { textWidth, wrapText } from '../../src/figures/text-width.js';

const row: ClaimRow = { claim: 'DA gains more the fewer the bits.', statistic: 'gain at 2 bits minus gain at 4 bits, AP50 points', where: 'Table 2.2', runs: 'recorded, 3 seeds', reason: 'its interval holds 0', decidedBy: 'npx qdetr experiment a', estimate: 0.4, low: -0.7, high: 1.5, threshold: 0, side: 'above', verdict: 'undecided' };
const rows: ClaimRow[] = [
  row, { ...row, verdict: 'reproduced', estimate: 2.1, low: 1.2, high: 3 }, { ...row, verdict: 'not reproduced', estimate: -12.345, low: -14, high: -10, side: 'below', threshold: -20 },
  { ...row, low: null, high: null }, { ...row, runs: null, reason: 'no runs answer it', estimate: null, low: null, high: null, threshold: 1, decidedBy: 'npx qdetr experiment b' },
];

test('each claim with its value, interval, threshold and verdict; without warnings, finite numbers only', async (t) => {
  const warnings: string[] = [];
  compileFigure(claimsChart(rows), (message) => warnings.push(message));
  t.deepEqual(warnings, []);
  const svg = await figureToSvg(claimsChart(rows));
  t.notRegex(svg, /NaN|Infinity|undefined|null/);
  for (const text of ['1 reproduced, 1 not reproduced, 3 undecided', '−12.3', '−14 to −10', '−0.7 to 1.5', 'no interval says anything yet', 'no runs answer it', '>… b<', '>not reproduced<', '>−20<']) t.true(svg.includes(text), text);
});

test('the shaded side is the one that the claim predicts', async (t) => {
  const shaded = async (claim: ClaimRow): Promise<string> => (await figureToSvg(claimsChart([claim]))).match(/<path[^>]*#00735a"[^>]*opacity="0.1"[^>]*>|<path[^>]*opacity="0.1"[^>]*>/)?.[0] ?? '';
  t.not(await shaded(row), '');
  t.not(await shaded(row), await shaded({ ...row, side: 'below' }));
});

test('a claim without an interval is words alone, below the others, whatever the order; no row is higher than its words', async (t) => {
  const words = rows.slice(3), svg = await figureToSvg(claimsChart([...words, row]));
  t.is(svg.match(/opacity="0.1"/g)?.length, 1);
  t.true(svg.indexOf('its interval holds 0: npx qdetr experiment a') < svg.indexOf('no runs answer it'));
  const height = (claims: ClaimRow[]): number => Number((claimsChart(claims) as { height: number }).height);
  t.true(height([...words, ...words]) - height(words) <= 2 * 60);
  t.false((await figureToSvg(claimsChart(words))).includes('Value'));
});

test('what all runs have in common is said once', async (t) => {
  const svg = await figureToSvg(claimsChart([row, { ...row, runs: 'recorded, transformer only, 3 seeds' }, { ...row, runs: null }]));
  t.true(svg.includes('Runs: recorded, 3 seeds.') && svg.includes('>Table 2.2; transformer only<') && svg.includes('>Table 2.2<'));
  t.false(svg.includes('; recorded'));
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
