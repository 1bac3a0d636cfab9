import { Option, type Command } from 'commander';
import type { OnBroken } from '../data/broken-items.js';
import { cocoAveragePrecision, type CocoSummary } from '../detection/coco-average-precision.js';
import { readCocoAnnotations, readCocoDetections } from '../detection/coco-files.js';
import { cocoResults } from '../detection/detections.js';
import { detectionTable, groundTruthTable, type DetectionTable, type GroundTruthTable } from '../detection/evaluation-tables.js';
import { vocAveragePrecision } from '../detection/voc-average-precision.js';
import { UserError } from '../errors.js';
import { evaluateFolder } from '../experiments/evaluate-folder.js';
import { openImageFolder } from '../experiments/image-data.js';
import { predictionModel } from '../experiments/prediction-model.js';
import { writeFileAtomic } from '../files.js';
import { parseBitsOption } from './bits-option.js';
import { optionalWholeNumber, wholeNumberOption } from './whole-number-option.js';

/** What `qdetr evaluate` evaluates (COCO files) and how it prints. */
export interface EvaluateOptions {
  annotations: string;
  detections: string;
  json?: boolean;
  voc?: boolean;
}

/** What it is told: COCO files, or a detector and a folder. */
interface EvaluateCommandOptions extends Partial<EvaluateOptions> {
  weights?: string;
  on?: string;
  bits?: string;
  images?: string;
  batch: string;
  out?: string;
  onBroken: OnBroken;
  workers?: string;
  runs: string;
}

/** `qdetr evaluate`: average precision of any detector's detections, from COCO files; or of a detector of this project on a folder of VOC or COCO. */
export function evaluateCommand(program: Command): void {
  program
    .command('evaluate')
    .description('average precision, the twelve numbers of pycocotools: of detections in COCO files, or of a detector on a folder in the format of VOC or COCO')
    .option('--annotations <file>', 'COCO annotations: images, categories, annotations')
    .option('--detections <file>', 'COCO results: an array of {image_id, category_id, bbox, score}')
    .option('--weights <weights>', "a detector: a run's id or a file of weights, in place of --detections")
    .option('--on <folder:split>', 'images to detect on, e.g. .data/VOCdevkit/VOC2007:test')
    .option('--bits <w-a-attention>', 'bits of quantized weights in a file that does not say them')
    .option('--images <number>', 'the first images only')
    .option('--batch <images>', 'images that are computed at once', '1')
    .option('--out <file>', 'write the detections as COCO results')
    .addOption(new Option('--on-broken <choice>', 'what a broken image or annotation does').choices(['stop', 'skip']).default('stop'))
    .option('--workers <number>', 'threads that decode images (default: one for each core)')
    .option('--runs <folder>', 'where run folders are', '.runs')
    .option('--json', 'print one JSON object')
    .option('--voc', "VOC's 11-point and all-point average precision as well (an annotation is difficult where 'difficult', or else 'iscrowd', is 1)")
    .action(async ({ annotations, detections, weights, on, ...options }: EvaluateCommandOptions) => {
      if (weights === undefined && on === undefined && annotations !== undefined && detections !== undefined) console.log(evaluationReport({ annotations, detections, ...options }));
      else if (weights !== undefined && on !== undefined && annotations === undefined && detections === undefined) await evaluateDetector({ weights, on, ...options });
      else throw new UserError('evaluate: give --annotations and --detections (COCO files), or --weights and --on (a detector and a folder)');
    });
}

/** Detects on a folder, and prints what a report of its files would. */
async function evaluateDetector({ weights, on, bits, images, batch, out, onBroken, workers, runs, json, voc }: EvaluateCommandOptions & { weights: string; on: string }): Promise<void> {
  const say = (text: string): void => void (json || process.stderr.write(text));
  const broken = { onBroken, told: (reason: string) => void process.stderr.write(`left out: ${reason}\n`) };
  const detector = predictionModel(weights, { precision: bits === undefined ? undefined : parseBitsOption(bits), root: runs }), dataset = openImageFolder(on, '--on', broken);
  const { detections: found, truth } = await evaluateFolder({
    detector, dataset, broken, images: optionalWholeNumber('--images', images), batchSize: wholeNumberOption('--batch', batch), workers: optionalWholeNumber('--workers', workers, 0),
    told: (done, total) => say(process.stderr.isTTY ? `\r${done} of ${total} batches${done === total ? '\n' : ''}` : done % 100 === 0 || done === total ? `${done} of ${total} batches\n` : ''),
  });
  if (out !== undefined) writeFileAtomic(out, `${JSON.stringify(cocoResults(found))}\n`);
  const table = groundTruthTable(truth, on);
  const report = reportOf(table, detectionTable(found, table, 'the detections'), { json, voc }, `${detector.origin}, ${detector.bits}`, on);
  console.log(report);
  if (out !== undefined) say(`Detections: ${out}\n`);
}

/** COCO's names of the twelve numbers, where they are in a summary, and what they are over. */
const measures: readonly [name: string, key: Exclude<keyof CocoSummary, 'classes'>, over: string][] = [
  ['AP', 'ap', 'IoU 0.50:0.95, 100 detections an image and category'],
  ['AP50', 'ap50', 'IoU 0.50'],
  ['AP75', 'ap75', 'IoU 0.75'],
  ['APs', 'apSmall', 'objects up to 32 x 32 pixels'],
  ['APm', 'apMedium', 'objects from 32 x 32 to 96 x 96 pixels'],
  ['APl', 'apLarge', 'objects from 96 x 96 pixels'],
  ['AR1', 'ar1', 'recall with 1 detection an image and category'],
  ['AR10', 'ar10', 'recall with 10'],
  ['AR100', 'ar100', 'recall with 100'],
  ['ARs', 'arSmall', 'recall of small objects, with 100'],
  ['ARm', 'arMedium', 'recall of medium objects, with 100'],
  ['ARl', 'arLarge', 'recall of large objects, with 100'],
];

/**
 * What `qdetr evaluate` prints: a table, or one JSON object with COCO's names as keys (-1 where no annotation counts, as pycocotools
 * has it) and, with `voc`, the key VOC with AP11 and APall.
 * @throws UserError that names the file and its first wrong entry
 */
export function evaluationReport({ annotations, detections, json, voc }: EvaluateOptions): string {
  const truth = readCocoAnnotations(annotations);
  return reportOf(truth, readCocoDetections(detections, truth), { json, voc }, detections, annotations);
}

/** @param source of the detections; @param place of the annotations */
function reportOf(truth: GroundTruthTable, found: DetectionTable, { json, voc }: Pick<EvaluateOptions, 'json' | 'voc'>, source: string, place: string): string {
  const summary = cocoAveragePrecision(truth, found), vocSummary = voc ? vocAveragePrecision(truth, found) : undefined;
  if (json) {
    const numbers = Object.fromEntries(measures.map(([name, key]) => [name, summary[key]]));
    return JSON.stringify(vocSummary ? { ...numbers, VOC: { AP11: vocSummary.ap11, APall: vocSummary.apAll } } : numbers);
  }
  const line = (name: string, value: number, over: string): string => `  ${name.padEnd(10)}${value < 0 ? '    -' : value.toFixed(3)}   ${over}${value < 0 ? ' (there are none)' : ''}`;
  const lines = [
    `detections: ${found.scores.length} (${source}); annotations: ${truth.image.length}, images: ${truth.imageIds.length} (${place})`,
    ...measures.map(([name, key, over]) => line(name, summary[key], over)),
  ];
  if (vocSummary) lines.push(line('VOC 11', vocSummary.ap11, "VOC2007's 11-point average precision, IoU 0.50"), line('VOC all', vocSummary.apAll, "VOC2010's area under the curve, IoU 0.50"));
  return lines.join('\n');
}
