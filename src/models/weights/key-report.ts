import { UserError } from '../../errors.js';

/** How the keys of a file differ from those of a model. Names and shapes are those of the file; of what is missing, this project's. */
export interface KeyReport {
  missing: { name: string; shape: readonly number[] }[];
  /** Arrays that the model has not; no shape for whole numbers. */
  unexpected: { name: string; shape?: readonly number[] }[];
  misShaped: { name: string; found: readonly number[]; wanted: readonly number[] }[];
  /** What is left out without loss, and why. */
  harmless: { name: string; why: string }[];
}

/** A report without a line. */
export const emptyReport = (): KeyReport => ({ missing: [], unexpected: [], misShaped: [], harmless: [] });

/** Whether every key of the model is there, and nothing strange beside them. */
export const isComplete = ({ missing, unexpected, misShaped }: KeyReport): boolean => missing.length + unexpected.length + misShaped.length === 0;

/** Why an array that a model doesn't have can be left out; undefined for one that says that the file is of another model. */
export function harmlessReason(name: string, kind: 'detector' | 'backbone'): string | undefined {
  if (name.endsWith('num_batches_tracked')) return 'counts batches of the training, which nothing reads';
  if (kind === 'backbone' && /^(.*\.)?fc\.(weight|bias)$/.test(name)) return "the classifier's head, which a detector has not";
  if (/(^|\.)(mask_head|bbox_attention)\./.test(name)) return 'the head for segmentation, which no detector here has';
  return undefined;
}

const shapeText = (shape: readonly number[]): string => `[${shape.join(', ')}]`;

/** All lines of a report, harmless keys by reason. */
export function reportLines({ missing, unexpected, misShaped, harmless }: KeyReport): string[] {
  const reasons = [...new Set(harmless.map(({ why }) => why))];
  const byReason = reasons.map((why) => {
    const names = harmless.filter((one) => one.why === why).map(({ name }) => name);
    return `left out: ${names.length === 1 ? names[0] : `${names.length} keys, ${names[0]} to ${names.at(-1)}`} (${why})`;
  });
  return [
    ...missing.map(({ name, shape }) => `missing: ${name} ${shapeText(shape)}`),
    ...misShaped.map(({ name, found, wanted }) => `another shape: ${name} is ${shapeText(found)}, ${shapeText(wanted)} is needed`),
    ...unexpected.map(({ name, shape }) => `unexpected: ${name} ${shape ? shapeText(shape) : '(whole numbers)'}`),
    ...byReason,
  ];
}

/** Names that an error about keys shows of each kind. */
const SHOWN = 4;

/** @throws UserError that counts what is missing, mis-shaped and unexpected, with the first names of each */
export function checkKeys(file: string, title: string, report: KeyReport): void {
  if (isComplete(report)) return;
  const some = (count: number, what: string, names: readonly string[]): string[] => (count === 0 ? [] : [`${count} ${what} (${names.slice(0, SHOWN).join(', ')}${count > SHOWN ? ', …' : ''})`]);
  const parts = [
    ...some(report.missing.length, 'missing', report.missing.map(({ name }) => `'${name}'`)),
    ...some(report.misShaped.length, 'of another shape', report.misShaped.map(({ name, found, wanted }) => `'${name}' ${shapeText(found)} instead of ${shapeText(wanted)}`)),
    ...some(report.unexpected.length, 'unexpected', report.unexpected.map(({ name }) => `'${name}'`)),
  ];
  throw new UserError(`${file} is not a whole ${title}: of its keys ${parts.join(', ')}; npx qdetr weights show lists all of them, and --model names another model`);
}
