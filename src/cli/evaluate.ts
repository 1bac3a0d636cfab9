import type { Command } from 'commander';
import { cocoAveragePrecision, type CocoSummary } from '../detection/coco-average-precision.js';
import { readCocoAnnotations, readCocoDetections } from '../detection/coco-files.js';
import { vocAveragePrecision } from '../detection/voc-average-precision.js';

/** What `qdetr evaluate` evaluates (COCO files) and how it prints. */
export interface EvaluateOptions {
  annotations: string;
  detections: string;
  json?: boolean;
  voc?: boolean;
}

/** `qdetr evaluate`: average precision of any detector's detections, from COCO files. */
export function evaluateCommand(program: Command): void {
  program
    .command('evaluate')
    .description('average precision of detections in COCO files: the twelve numbers of pycocotools')
    .requiredOption('--annotations <file>', 'COCO annotations: images, categories, annotations')
    .requiredOption('--detections <file>', 'COCO results: an array of {image_id, category_id, bbox, score}')
    .option('--json', 'print one JSON object')
    .option('--voc', "VOC's 11-point and all-point average precision as well (an annotation is difficult where 'difficult', or else 'iscrowd', is 1)")
    .action((options: EvaluateOptions) => console.log(evaluationReport(options)));
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
  const truth = readCocoAnnotations(annotations), found = readCocoDetections(detections, truth);
  const summary = cocoAveragePrecision(truth, found), vocSummary = voc ? vocAveragePrecision(truth, found) : undefined;
  if (json) {
    const numbers = Object.fromEntries(measures.map(([name, key]) => [name, summary[key]]));
    return JSON.stringify(vocSummary ? { ...numbers, VOC: { AP11: vocSummary.ap11, APall: vocSummary.apAll } } : numbers);
  }
  const line = (name: string, value: number, over: string): string => `  ${name.padEnd(10)}${value < 0 ? '    -' : value.toFixed(3)}   ${over}${value < 0 ? ' (there are none)' : ''}`;
  const lines = [
    `detections: ${found.scores.length} (${detections}); annotations: ${truth.image.length}, images: ${truth.imageIds.length} (${annotations})`,
    ...measures.map(([name, key, over]) => line(name, summary[key], over)),
  ];
  if (vocSummary) lines.push(line('VOC 11', vocSummary.ap11, "VOC2007's 11-point average precision, IoU 0.50"), line('VOC all', vocSummary.apAll, "VOC2010's area under the curve, IoU 0.50"));
  return lines.join('\n');
}
