import { UserError, messageOf } from '../errors.js';
import { readText } from '../files.js';
import { detectionColumns, detectionTable, groundTruthTable, type DetectionTable, type GroundTruthTable } from './evaluation-tables.js';

/**
 * Reads COCO annotations (as `instances_val2017.json`).
 * @throws UserError that names the file and its first wrong entry
 */
export function readCocoAnnotations(file: string): GroundTruthTable {
  return groundTruthTable(parse(file, 'give the COCO annotations, an object with the arrays images, categories and annotations'), file);
}

/**
 * Reads COCO results, an array of {image_id, category_id, bbox, score}, and checks them against a ground truth.
 * @throws UserError that names the file and its first wrong entry
 */
export function readCocoDetections(file: string, truth: GroundTruthTable): DetectionTable {
  return detectionTable(detectionColumns(parse(file, 'give the detections as COCO results, an array of {image_id, category_id, bbox, score}'), file), truth, file);
}

/** JSON, with the NaN and Infinity that Python writes kept as text, so that errors can name the entry that holds them. */
function parse(file: string, remedy: string): unknown {
  const text = readText(file, remedy);
  try {
    return JSON.parse(text);
  } catch (error) {
    try {
      return JSON.parse(text.replace(/([[:,]\s*)(-?(?:NaN|Infinity))(?=\s*[,\]}])/g, '$1"$2"'));
    } catch {
      throw new UserError(`${file} is no JSON (${messageOf(error)}): ${remedy}`);
    }
  }
}
