import { parameterCount, type ImageSides } from '../models/cost.js';
import { ENDS_REAL, FIRST_CONVOLUTION_REAL, MEBIBYTE, paperCost, sizeCountings } from '../models/cost-rules.js';
import { parameterBreakdown, type ParameterGroup } from '../models/parameter-breakdown.js';
import type { DetectorSettings } from '../models/settings.js';
import { isReal, REAL, type Precision } from '../quantizer/precision.js';

/** A deviation from the paper above this is explained, or said not to be. */
export const EXPLAINED_ABOVE = 0.03;

/**
 * The usual image of the paper's evaluation: short side 800 and long side at most 1333 pixels (PAPER.md 2.6), of a photograph of 640 x 480,
 * COCO's most frequent size.
 */
export const PAPER_IMAGE: ImageSides = { height: 800, width: 1066 };

/** A fraction in per cent, with its sign. */
export function signedPercent(fraction: number): string {
  const digits = Math.abs(100 * fraction).toFixed(1);
  return `${Number(digits) === 0 ? '' : fraction < 0 ? '-' : '+'}${digits} %`;
}

/** Why our size differs from the paper's `paper`, in MB, in a sentence. `printedReal` is what it prints for the real-valued model. */
export function explainSize(real: DetectorSettings, quantized: DetectorSettings, precision: Precision, paper: number, printedReal: number): string {
  const { weightBits } = precision;
  const [nearest] = sizeCountings(real, quantized).sort((a, b) => Math.abs(a.size - printedReal) - Math.abs(b.size - printedReal));
  const off = nearest.size / printedReal - 1;
  const countings = `no counting gives the paper's real-valued ${printedReal} (the nearest is ${signedPercent(off)} from it)`;
  if (isReal(weightBits)) return `size: not explained: ${countings}`;
  const share = (printedReal * weightBits) / 32, left = share / paper - 1;
  const own = `${weightBits}/32 of the paper's own ${printedReal} is ${share.toFixed(2)}`;
  return Math.abs(left) > EXPLAINED_ABOVE
    ? `size: not explained: ${own}, ${signedPercent(left)} from what it prints here`
    : `size: that of the real-valued row, which is not explained: ${own}`;
}

/** The least width of an image of the paper's height, 800 to 1333 pixels, at which the model's real-valued operations come nearest to `operations`, in 10^9. They grow with it, in steps. */
export function matchingImage(real: DetectorSettings, operations: number): ImageSides {
  const { height } = PAPER_IMAGE, at = (width: number): number => (paperCost(real, REAL, { height, width }).operations ?? NaN) / 1e9;
  /** The least width with so many operations; the largest where none has. */
  const least = (wanted: number): number => {
    let [low, high] = [height, 1333];
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (at(middle) >= wanted) high = middle;
      else low = middle + 1;
    }
    return low;
  };
  const above = least(operations), below = least(at(Math.max(height, above - 1)));
  const off = (width: number): number => Math.abs(at(width) - operations);
  return { height, width: off(below) <= off(above) ? below : above };
}

/** A way to read the paper's rule for operations. */
export interface OperationsReading {
  reading: string;
  /** In 10^9. */
  operations: number;
}

/**
 * Operations of a model at one precision by the readings of the paper's rule that its text and its released code leave open, the usual one first.
 * @param image where the real-valued row agrees: `matchingImage`
 */
export function operationsReadings(settings: DetectorSettings, precision: Precision, image: ImageSides): OperationsReading[] {
  const { weightBits, attentionBits } = precision, uniform = { ...precision, attentionBits: weightBits };
  const count = (reading: string, bits: Precision, real: RegExp): OperationsReading => ({ reading, operations: (paperCost(settings, bits, image, real).operations ?? NaN) / 1e9 });
  const ends = 'input projection, heads and point layers real-valued';
  return [
    count('as in the table', precision, FIRST_CONVOLUTION_REAL),
    ...(weightBits === attentionBits ? [] : [count(`attention's products at ${weightBits} bits`, uniform, FIRST_CONVOLUTION_REAL)]),
    count(ends, precision, ENDS_REAL),
    ...(weightBits === attentionBits ? [] : [count(`${ends}, attention's products at ${weightBits} bits`, uniform, ENDS_REAL)]),
  ];
}

/** Why our operations differ from the paper's `paper`, in 10^9, in a sentence. `printedReal` is what it prints for the real-valued model. */
export function explainOperations(real: DetectorSettings, settings: DetectorSettings, precision: Precision, paper: number, printedReal: number): string {
  const image = matchingImage(real, printedReal), at = `${image.height}x${image.width}`;
  const readings = operationsReadings(settings, precision, image).map((one) => ({ ...one, off: one.operations / paper - 1 }));
  const text = ({ operations, off }: (typeof readings)[number]): string => `${operations.toFixed(2)} G, ${signedPercent(off)}`, [usual] = readings;
  if (isReal(precision.weightBits)) {
    const largest = (paperCost(real, REAL, { height: 800, width: 1333 }).operations ?? NaN) / 1e9;
    return `operations: the size of the image, in part: ours come to ${text(usual)}, at ${at}, and to ${largest.toFixed(2)} G at 800x1333, the paper's limit; DETR's own 86 G are the mean over the first 100 images of COCO val2017 (facebookresearch/detr, issue 110), which are not here`;
  }
  if (Math.abs(usual.off) <= EXPLAINED_ABOVE) return `operations: those of the real-valued row: at ${at}, where that agrees, ${text(usual)}`;
  const [nearest] = [...readings].sort((a, b) => Math.abs(a.off) - Math.abs(b.off)), isExplained = Math.abs(nearest.off) <= EXPLAINED_ABOVE;
  return `operations: ${isExplained ? 'the reading of the rule' : 'not explained'}: at ${at}, where the real-valued row agrees, ${text(usual)}; ${isExplained ? 'with' : 'the nearest of the other readings, with'} ${nearest.reading}, gives ${text(nearest)}`;
}

/** Half a unit of the last digit that the paper prints of a size, MB. */
const HALF_DIGIT = 0.005;

/**
 * The sets of a real-valued model's module groups that come to `sizeMB` of 10^6 bytes when they are left out, to the digits printed; each set in
 * the order of `parameterBreakdown`.
 */
export function omissionsThatFit(real: DetectorSettings, sizeMB: number): string[][] {
  const groups = parameterBreakdown(real), all = groups.reduce((sum, { parameters }) => sum + parameters, 0);
  const found: string[][] = [];
  const search = (at: number, left: number, names: string[]): void => {
    if (Math.abs((4 * left) / 1e6 - sizeMB) <= HALF_DIGIT) found.push(names);
    for (let i = at; i < groups.length; i++) if ((4 * (left - groups[i].parameters)) / 1e6 >= sizeMB - HALF_DIGIT) search(i + 1, left - groups[i].parameters, [...names, groups[i].group]);
  };
  search(0, all, []);
  return found;
}

/** Groups in which two models differ: elements of the second less those of the first; equal ones are left out. */
export function breakdownDifference(first: DetectorSettings, second: DetectorSettings): ParameterGroup[] {
  const [ours, others] = [first, second].map((settings) => new Map(parameterBreakdown(settings).map(({ group, parameters }) => [group, parameters])));
  return [...new Set([...others.keys(), ...ours.keys()])].map((group) => ({ group, parameters: (others.get(group) ?? 0) - (ours.get(group) ?? 0) })).filter(({ parameters }) => parameters !== 0);
}

/** What the paper's real-valued sizes of both models say about what it counts, as sentences. */
export function realSizesTogether(detr: DetectorSettings, smca: DetectorSettings, printed: { detr: number; smca: number }): string[] {
  const difference = breakdownDifference(detr, smca), sum = difference.reduce((n, { parameters }) => n + parameters, 0);
  const text = (n: number): string => `${n < 0 ? '-' : ''}${Math.abs(n).toLocaleString('en')}`, million = (bytes: number): string => (bytes / 4e6).toFixed(2);
  const gap = printed.smca - printed.detr, missing = parameterCount(detr) - Math.round(printed.detr * 250_000);
  const fits = omissionsThatFit(detr, printed.detr).filter((set) => omissionsThatFit(smca, printed.smca).some((other) => other.join() === set.join()));
  return [
    `The two sizes differ by ${gap.toFixed(2)} MB: ${million(gap * MEBIBYTE)} million numbers, or ${million(gap * 1e6)} million if 10^6 bytes are meant. The models differ by ${text(sum)}: ${difference.map(({ group, parameters }) => `${group} ${text(parameters)}`).join(', ')}. What both have cancels: no rule that counts alike what they share gives both sizes.`,
    `The text's 39.8 million parameters of DETR-R50 are ${printed.detr} over 4: ${text(missing)} fewer than it has. ${fits.length === 0 ? 'No set of whole groups of modules, left out of both models, makes up the difference in both' : `Left out of both models, ${fits.map((set) => set.join(' and ')).join('; or ')} make up the difference`} (--bits lists the groups). The table's MB read as 2^20 bytes need nothing left out.`,
  ];
}
