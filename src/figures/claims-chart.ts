import { FONT_FILES, type Figure } from './render.js';
import { CONFIG, FAINT, INK, QUIET, type Layer } from './style.js';
import { wrapText } from './text-width.js';

/** A claim of the paper and what this kit's runs say about it. */
export interface ClaimRow {
  /** What the paper claims, as a sentence. */
  claim: string;
  /** What is measured for it, in words, with its unit. */
  statistic: string;
  /** Which runs: where from, data set, scale, seeds; or what is missing. */
  runs: string;
  /** The statistic; null without runs. */
  estimate: number | null;
  /** Its 95 % interval; null where there is none. */
  low: number | null;
  high: number | null;
  /** The claim says that the statistic is above (or below) this. */
  threshold: number;
  side: 'above' | 'below';
  verdict: 'reproduced' | 'not reproduced' | 'undecided';
}

const CLAIM = 560, PLOT = 300, NUMBERS = 150, VERDICT = 170, GAP = 26;
const SIZE = 15.5, SMALL = 13.5, LINE = 20, SMALL_LINE = 17.5;
const VERDICTS: Readonly<Record<ClaimRow['verdict'], { colour: string; shape: string }>> = {
  reproduced: { colour: '#00735a', shape: 'circle' },
  'not reproduced': { colour: '#c22a32', shape: 'cross' },
  undecided: { colour: '#8a6d00', shape: 'diamond' },
};
const AT = { plot: CLAIM + GAP, numbers: CLAIM + PLOT + 2 * GAP, verdict: CLAIM + PLOT + NUMBERS + 3 * GAP };
const WIDTH = AT.verdict + VERDICT;

/**
 * The paper's claims and their verdicts: statement, statistic with its 95 % interval against the threshold, verdict. Each row has a
 * scale of its own, for the statistics have different units; the side that the claim predicts is shaded.
 */
export function claimsChart(claims: readonly ClaimRow[]): Figure {
  let top = 34;
  const layer = claims.flatMap((claim, i): Layer[] => {
    const { layers, height } = row(claim, top, i > 0);
    top += height;
    return layers;
  });
  const head = [words(['The paper claims'], 0, 14, heading), words(['Statistic, 95 % interval; shaded: as claimed'], AT.plot, 14, heading), words(['Value'], AT.numbers, 14, heading), words(['Verdict'], AT.verdict, 14, heading)];
  const counts = (Object.keys(VERDICTS) as ClaimRow['verdict'][]).map((verdict) => `${claims.filter((claim) => claim.verdict === verdict).length} ${verdict}`);
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v5.json',
    title: {
      text: 'The paper’s claims, on this kit’s runs',
      subtitle: [
        claims.length === 0 ? 'No claim has been judged yet.' : `${counts.join(', ')}. On small models and MiniVOC, not on the paper’s own data.`,
      ],
    },
    width: WIDTH,
    height: Math.max(top, 60),
    layer: claims.length === 0 ? [words(['No verdicts yet: they need runs, recorded or fresh.'], 0, 30, { fontSize: SIZE, color: QUIET })] : [...head, ...layer],
    config: CONFIG,
  } as Figure;
}

const heading = { fontSize: SMALL, color: QUIET, baseline: 'middle' } as const;

function words(text: string[], x: number, y: number, mark: object): Layer {
  return { data: { values: [{ text }] }, mark: { type: 'text', align: 'left', baseline: 'top', ...mark }, encoding: { x: { value: x }, y: { value: y }, text: { field: 'text' } } };
}

/** One claim from `top` down. */
function row(claim: ClaimRow, top: number, isRuled: boolean): { layers: Layer[]; height: number } {
  const statement = wrapText(claim.claim, CLAIM, FONT_FILES[1], SIZE);
  const runs = wrapText(claim.runs, CLAIM, FONT_FILES[0], SMALL);
  const statistic = wrapText(claim.statistic, PLOT, FONT_FILES[0], SMALL);
  const left = statement.length * LINE + runs.length * SMALL_LINE + 4;
  const isMeasured = claim.estimate !== null;
  const height = 14 + Math.max(left, statistic.length * SMALL_LINE + (isMeasured ? 6 + 46 : 0)) + 14;
  const { colour, shape } = VERDICTS[claim.verdict];
  const middle = isMeasured ? top + 14 + statistic.length * SMALL_LINE + 6 + 16 : top + 14 + 9;
  return {
    height,
    layers: [
      ...(isRuled ? [line([0, top], [WIDTH, top], { color: FAINT, strokeWidth: 1 })] : []),
      words(statement, 0, top + 14, { fontSize: SIZE, fontWeight: 'bold', lineHeight: LINE, color: INK }),
      words(runs, 0, top + 18 + statement.length * LINE, { fontSize: SMALL, lineHeight: SMALL_LINE, color: QUIET }),
      words(statistic, AT.plot, top + 14, { fontSize: SMALL, lineHeight: SMALL_LINE, color: INK }),
      ...(isMeasured ? plot(claim, middle, colour) : []),
      words(valueText(claim), AT.numbers, middle - 9, { fontSize: SIZE, lineHeight: LINE, color: claim.estimate === null ? QUIET : INK }),
      { data: { values: [{}] }, mark: { type: 'point', filled: true, shape, size: 170, color: colour, opacity: 1 }, encoding: { x: { value: AT.verdict + 8 }, y: { value: middle } } },
      words([claim.verdict], AT.verdict + 24, middle, { fontSize: SIZE + 0.5, fontWeight: 'bold', color: colour, baseline: 'middle' }),
    ],
  };
}

/** The interval on a scale of its own, with the threshold and the claimed side. */
function plot({ estimate, low, high, threshold, side }: ClaimRow, y: number, colour: string): Layer[] {
  const values = [threshold, estimate ?? threshold, low ?? estimate ?? threshold, high ?? estimate ?? threshold];
  const reach = Math.max(...values) - Math.min(...values) || Math.max(1, Math.abs(threshold));
  const domain = [Math.min(...values) - 0.25 * reach, Math.max(...values) + 0.25 * reach];
  const at = (value: number): number => AT.plot + (PLOT * (value - domain[0])) / (domain[1] - domain[0]);
  const limits = side === 'above' ? [at(threshold), AT.plot + PLOT] : [AT.plot, at(threshold)];
  return [
    { data: { values: [{}] }, mark: { type: 'rect', color: '#00735a', opacity: 0.1 }, encoding: { x: { value: limits[0] }, x2: { value: limits[1] }, y: { value: y - 13 }, y2: { value: y + 13 } } },
    line([AT.plot, y], [AT.plot + PLOT, y], { color: FAINT, strokeWidth: 1 }),
    line([at(threshold), y - 13], [at(threshold), y + 13], { color: INK, strokeWidth: 1.5, strokeDash: [3, 3] }),
    { ...words([shortNumber(threshold)], at(threshold), y + 16, { fontSize: 12.5, color: QUIET, align: 'center' }) },
    ...(low === null || high === null ? [] : [line([at(low), y], [at(high), y], { color: colour, strokeWidth: 4 })]),
    ...(estimate === null ? [] : [{ data: { values: [{}] }, mark: { type: 'point', filled: true, size: 150, color: colour, opacity: 1, stroke: 'white', strokeWidth: 1.5 }, encoding: { x: { value: at(estimate) }, y: { value: y } } } as Layer]),
  ];
}

const line = ([x, y]: [number, number], [x2, y2]: [number, number], mark: object): Layer =>
  ({ data: { values: [{}] }, mark: { type: 'rule', ...mark }, encoding: { x: { value: x }, x2: { value: x2 }, y: { value: y }, y2: { value: y2 } } });

/** Three digits that count, without trailing zeros: 6.5, -0.04, 120. */
const shortNumber = (value: number): string => String(Number(value.toPrecision(3))).replace('-', '−');

function valueText({ estimate, low, high }: ClaimRow): string[] {
  if (estimate === null) return ['no runs'];
  return low === null || high === null ? [shortNumber(estimate), 'no interval'] : [shortNumber(estimate), `${shortNumber(low)} to ${shortNumber(high)}`];
}
