import { FONT_FILES, type Figure } from './render.js';
import { CONFIG, FAINT, INK, QUIET, type Layer } from './style.js';
import { wrapText } from './text-width.js';

/** A claim of the paper and what this kit's runs say about it. */
export interface ClaimRow {
  /** What the paper claims, as a sentence. */
  claim: string;
  /** Where it does. */
  where: string;
  /** What is measured for it, in words, with its unit. */
  statistic: string;
  /** Which runs: where from, data set, scale, seeds; null: none. */
  runs: string | null;
  /** Why it is undecided, or what decided. */
  reason: string;
  /** The statistic; null without runs. */
  estimate: number | null;
  /** Its 95 % interval; null where there is none. */
  low: number | null;
  high: number | null;
  /** The claim says that the statistic is above (or below) this. */
  threshold: number;
  side: 'above' | 'below';
  verdict: 'reproduced' | 'not reproduced' | 'undecided';
  /** The command that makes the runs that would decide it; null where it is decided. */
  decidedBy: string | null;
}

const CLAIM = 690, PLOT = 280, NUMBERS = 110, VERDICT = 140, GAP = 24;
const SIZE = 15, SMALL = 13, LINE = 19, SMALL_LINE = 16.5;
/** Above and below the words of a row. */
const MARGIN = 7;
/** How every command begins. */
const COMMAND = 'npx qdetr experiment ';
const VERDICTS: Readonly<Record<ClaimRow['verdict'], { colour: string; shape: string }>> = {
  reproduced: { colour: '#00735a', shape: 'circle' },
  'not reproduced': { colour: '#c22a32', shape: 'cross' },
  undecided: { colour: '#8a6d00', shape: 'diamond' },
};
const AT = { plot: CLAIM + GAP, numbers: CLAIM + PLOT + 2 * GAP, verdict: CLAIM + PLOT + NUMBERS + 3 * GAP };
const WIDTH = AT.verdict + VERDICT;

/** Rows from `top` down. */
interface Drawn {
  layers: Layer[];
  bottom: number;
}

/**
 * The paper's claims and their verdicts. First those with an interval: statement, statistic with its 95 % interval against the threshold,
 * verdict; each has a scale of its own, for the statistics have different units, and the side that the claim predicts is shaded. Then those
 * without one, each a few words: what is there or missing, and the command that would decide it.
 */
export function claimsChart(claims: readonly ClaimRow[]): Figure {
  const common = commonParts(claims), shared = common.length > 0 ? ` Runs: ${common.join(', ')}.` : '';
  const measured = claims.filter(hasInterval), open = claims.filter((claim) => !hasInterval(claim));
  const heads = (top: number, names: readonly (readonly [string, number])[]): Layer[] => names.map(([name, x]) => words([name], x, top + 14, heading));
  const parts: { rows: readonly ClaimRow[]; names: readonly (readonly [string, number])[]; draw: (claim: ClaimRow, top: number, about: string) => Drawn }[] = [
    { rows: measured, names: [['The paper claims', 0], ['Statistic, 95 % interval; shaded: as claimed', AT.plot], ['Value', AT.numbers], ['Verdict', AT.verdict]], draw: measuredRow },
    { rows: open, names: [['Undecided: no interval says anything yet', 0], [`Why not, and what would decide it: ${COMMAND}…`, AT.plot]], draw: openRow },
  ];
  let top = 0;
  const layer = parts.filter(({ rows }) => rows.length > 0).flatMap(({ rows, names, draw }, part): Layer[] => {
    top += part * 22;
    const drawn = heads(top, names);
    top += 30;
    for (const claim of rows) {
      const { layers, bottom } = draw(claim, top, aboutText(claim, common));
      drawn.push(line([0, top], [WIDTH, top], { color: FAINT, strokeWidth: 1 }), ...layers);
      top = bottom;
    }
    return drawn;
  });
  const counts = (Object.keys(VERDICTS) as ClaimRow['verdict'][]).map((verdict) => `${claims.filter((claim) => claim.verdict === verdict).length} ${verdict}`);
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v5.json',
    title: {
      text: 'The paper’s claims, on this kit’s runs',
      subtitle: [
        claims.length === 0 ? 'No claim has been judged yet.' : `${counts.join(', ')}. On small models and MiniVOC, not on the paper’s own data.${shared}`,
      ],
    },
    width: WIDTH,
    height: Math.max(top, 60),
    layer: claims.length === 0 ? [words(['No verdicts yet: they need runs, recorded or fresh.'], 0, 30, { fontSize: SIZE, color: QUIET })] : layer,
    config: CONFIG,
  } as Figure;
}

const partsOf = ({ runs }: ClaimRow): string[] => runs?.split(', ') ?? [];

/** What is true of the runs of all claims that have any: it is said once. */
function commonParts(claims: readonly ClaimRow[]): string[] {
  const [first, ...others] = claims.filter(({ runs }) => runs !== null);
  return first === undefined || others.length === 0 ? [] : partsOf(first).filter((part) => others.every((other) => partsOf(other).includes(part)));
}

/** Where the paper claims it, and what is not common of the runs. */
const aboutText = (claim: ClaimRow, common: readonly string[]): string =>
  [claim.where, partsOf(claim).filter((part) => !common.includes(part)).join(', ')].filter((text) => text !== '').join('; ');

/** Whether a claim has something to plot: a single value without an interval is said in words. */
const hasInterval = ({ estimate, low, high }: ClaimRow): boolean => estimate !== null && low !== null && high !== null;

const heading = { fontSize: SMALL, color: QUIET, baseline: 'middle' } as const;

function words(text: string[], x: number, y: number, mark: object): Layer {
  return { data: { values: [{ text }] }, mark: { type: 'text', align: 'left', baseline: 'top', ...mark }, encoding: { x: { value: x }, y: { value: y }, text: { field: 'text' } } };
}

const small = (text: string, width: number): string[] => wrapText(text, width, FONT_FILES[0], SMALL);

/** A claim with an interval. */
function measuredRow(claim: ClaimRow, top: number, about: string): Drawn {
  const statement = wrapText(claim.claim, CLAIM, FONT_FILES[1], SIZE);
  const why = [...small(about, CLAIM), ...small(`${claim.reason}${claim.decidedBy === null ? '' : `: ${claim.decidedBy}`}`, CLAIM)];
  const statistic = small(claim.statistic, PLOT);
  const height = 2 * MARGIN + Math.max(statement.length * LINE + why.length * SMALL_LINE, statistic.length * SMALL_LINE + 6 + 44);
  const { colour, shape } = VERDICTS[claim.verdict];
  const middle = top + MARGIN + statistic.length * SMALL_LINE + 6 + 13;
  return {
    bottom: top + height,
    layers: [
      words(statement, 0, top + MARGIN, { fontSize: SIZE, fontWeight: 'bold', lineHeight: LINE, color: INK }),
      words(why, 0, top + MARGIN + statement.length * LINE, { fontSize: SMALL, lineHeight: SMALL_LINE, color: QUIET }),
      words(statistic, AT.plot, top + MARGIN, { fontSize: SMALL, lineHeight: SMALL_LINE, color: INK }),
      ...plot(claim, middle, colour),
      words(valueText(claim), AT.numbers, middle - 9, { fontSize: SIZE, lineHeight: LINE, color: INK }),
      { data: { values: [{}] }, mark: { type: 'point', filled: true, shape, size: 170, color: colour, opacity: 1 }, encoding: { x: { value: AT.verdict + 8 }, y: { value: middle } } },
      words([claim.verdict], AT.verdict + 24, middle, { fontSize: SIZE + 0.5, fontWeight: 'bold', color: colour, baseline: 'middle' }),
    ],
  };
}

/** A claim without an interval: words alone. */
function openRow(claim: ClaimRow, top: number, about: string): Drawn {
  const statement = wrapText(claim.claim, CLAIM, FONT_FILES[1], SIZE);
  const value = claim.estimate === null ? '' : `${claim.statistic.replace(/^weakest of \d+: /, '')} is ${shortNumber(claim.estimate)}; `;
  const verdict = claim.verdict === 'undecided' ? '' : `${claim.verdict}: `;
  const [source, width] = [small(about, CLAIM), WIDTH - AT.plot];
  const [why, command] = [`${verdict}${value}${claim.reason}`, claim.decidedBy?.replace(COMMAND, '… ') ?? ''].map((text) => small(text, width));
  const { colour } = VERDICTS[claim.verdict];
  return {
    bottom: top + 2 * MARGIN + Math.max(statement.length * LINE + source.length * SMALL_LINE, (why.length + command.length) * SMALL_LINE),
    layers: [
      words(statement, 0, top + MARGIN, { fontSize: SIZE, fontWeight: 'bold', lineHeight: LINE, color: INK }),
      words(source, 0, top + MARGIN + statement.length * LINE, { fontSize: SMALL, lineHeight: SMALL_LINE, color: QUIET }),
      words(why, AT.plot, top + MARGIN + 2, { fontSize: SMALL, lineHeight: SMALL_LINE, color: colour }),
      ...(command.length === 0 ? [] : [words(command, AT.plot, top + MARGIN + 2 + why.length * SMALL_LINE, { fontSize: SMALL, lineHeight: SMALL_LINE, color: INK })]),
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

const valueText = ({ estimate, low, high }: ClaimRow): string[] => [shortNumber(estimate!), `${shortNumber(low!)} to ${shortNumber(high!)}`];
