import { existsSync, statSync } from 'node:fs';
import path from 'node:path';
import { Option, type Command } from 'commander';
import { decodeImage } from '../data/decode-image.js';
import { UserError } from '../errors.js';
import { predictionModel, type PredictionModel } from '../experiments/prediction-model.js';
import { writeFileAtomic } from '../files.js';
import { KNOWN_DETECTORS } from '../models/weights/recognize-model.js';
import { chooseEngine } from '../tensor/engine.js';
import { RUNS_FOLDER } from '../training/run-folder.js';
import { createPredictor, type Prediction } from '../training/predictor.js';
import { parseBitsOption } from './bits-option.js';

interface PredictCommandOptions {
  weights: string;
  image: string[];
  threshold: string;
  json?: boolean;
  draw?: string;
  bits?: string;
  model?: string;
  classes?: string;
  runs: string;
}

/** `qdetr predict`: what a detector sees in images. */
export function predictCommand(program: Command): void {
  program
    .command('predict')
    .description('what a detector sees in images: classes, scores and boxes, as a table, JSON or drawn')
    .requiredOption('--weights <file or run>', "weights in any form that 'qdetr weights show' knows, or the id of a run")
    .requiredOption('--image <files...>', 'images: JPEG, PNG, WebP, …')
    .option('--threshold <score>', 'least score of what is shown, 0 to 1', '0.7')
    .option('--draw <file or folder>', 'draw the boxes: into a .png for one image, into a folder for several')
    .option('--json', 'print one JSON object')
    .option('--bits <bits>', "weights-activations-attention, such as 4-4-8 (default: the run's or file's own)")
    .option('--classes <file>', "names of the classes, one a line (default: the file's own, VOC's 20 or COCO's 91)")
    .addOption(new Option('--model <name>', "the model that the weights are of, where it can't be found from their shapes").choices(Object.keys(KNOWN_DETECTORS)))
    .option('--runs <folder>', 'folder of the runs', RUNS_FOLDER)
    .action(async (options: PredictCommandOptions) => {
      const { weights, image: files, json, draw, bits, model: name, classes, runs: root } = options;
      const threshold = score(options.threshold);
      const pictures = draw === undefined ? undefined : picturesOf(draw, files);
      const model = predictionModel(weights, { ...(bits !== undefined && { precision: parseBitsOption(bits) }), model: name, classes, root });
      const predictions = await predictAll(model, files);
      const shown = predictions.map((prediction) => ({ ...prediction, detections: prediction.detections.filter((one) => one.score >= threshold) }));
      for (const [i, prediction] of shown.entries()) if (pictures) await drawPicture(prediction, model.classes, pictures[i]);
      const { name: engine, version } = await chooseEngine();
      if (json) console.log(JSON.stringify({ weights: model.origin, model: model.title, bits: model.bits, engine: `${engine} ${version ?? ''}`.trim(), threshold, images: shown.map((one) => asJson(one, model.classes)) }));
      else console.log(report(model, predictions, threshold, `${engine} ${version ?? ''}`.trim(), pictures));
    });
}

function score(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0 && value <= 1)) throw new UserError(`--threshold is "${text}": give a number from 0 to 1`);
  return value;
}

/** The files of pictures, one for each image. @throws UserError where several images would go into one */
function picturesOf(draw: string, files: readonly string[]): string[] {
  const isFolder = existsSync(draw) && statSync(draw).isDirectory();
  if (draw.endsWith('.png') && !isFolder) {
    if (files.length > 1) throw new UserError(`--draw ${draw}: is one picture for ${files.length} images: name a folder, which gets a picture of each`);
    return [draw];
  }
  if (existsSync(draw) && !isFolder) throw new UserError(`--draw ${draw}: is a file: name a .png or a folder`);
  const { ext } = path.parse(draw);
  if (!isFolder && /^\.\w*[a-z]\w*$/i.test(ext)) throw new UserError(`--draw ${draw}: pictures are drawn as .png, not as ${ext}: name a .png or a folder`);
  const names = files.map((file) => `${path.parse(file).name}.png`), twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new UserError(`--draw ${draw}: two images would be drawn as ${twice}: give them one after the other, each with a folder of its own`);
  return names.map((name) => path.join(draw, name));
}

/** Predictions in the order of the files; images are told to the detector by the size that it sees, so that each size is compiled once. */
async function predictAll({ settings, parameters, quantization }: PredictionModel, files: readonly string[]): Promise<Prediction[]> {
  const predictor = createPredictor(settings, parameters, quantization);
  try {
    const images: { file: string; index: number; key: string }[] = [];
    for (const [index, file] of files.entries()) { // every file is looked at before the first pass; none is kept
      const { width, height } = await decodeImage(file), seen = predictor.seenSize({ width, height });
      images.push({ file, index, key: `${seen.width}x${seen.height}` });
    }
    const predictions: Prediction[] = [];
    for (const { file, index } of images.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : a.index - b.index))) predictions[index] = await predictor.predict(file);
    return predictions;
  } finally {
    await predictor.dispose();
  }
}

async function drawPicture({ file, detections }: Prediction, classes: readonly string[], picture: string): Promise<void> {
  const { detectionsPicture } = await import('../figures/detections-picture.js'); // loads what draws figures: only where it is asked for
  writeFileAtomic(picture, await detectionsPicture(await decodeImage(file), detections.map(({ label, score: of, box }) => ({ name: classes[label], score: of, box }))));
}

const rounded = (value: number, digits: number): number => Number(value.toFixed(digits));

const asJson = ({ file, width, height, seen, seconds, detections }: Prediction, classes: readonly string[]): object => ({
  file, width, height, seen, seconds: rounded(seconds, 3),
  detections: detections.map(({ label, score: of, box }) => ({ class: classes[label], label, score: rounded(of, 4), box: box.map((v) => rounded(v, 2)) })),
});

/** The tables of all images. */
function report(model: PredictionModel, predictions: readonly Prediction[], threshold: number, engine: string, pictures: readonly string[] | undefined): string {
  const lines = [`${model.title}, ${model.bits}, from ${model.origin}; on ${engine}`];
  const width = Math.max(8, ...model.classes.map((name) => name.length));
  predictions.forEach(({ file, width: w, height: h, seen, seconds, detections }, i) => {
    const shown = detections.filter((one) => one.score >= threshold), [best] = detections;
    lines.push('', `${file} (${w}x${h}, seen at ${seen.width}x${seen.height}, ${seconds.toFixed(2)} s): ${shown.length} ${shown.length === 1 ? 'object' : 'objects'} of score ${threshold} or more`);
    if (shown.length > 0) lines.push(`  ${'class'.padEnd(width)}  score    left     top   right  bottom`);
    else lines.push(`  the likeliest is ${model.classes[best.label]} with ${best.score.toFixed(2)}: --threshold shows what is below ${threshold}`);
    for (const { label, score: of, box } of shown) lines.push(`  ${model.classes[label].padEnd(width)}  ${of.toFixed(3)}${box.map((v) => v.toFixed(1).padStart(8)).join('')}`);
    if (pictures) lines.push(`  drawn: ${pictures[i]}`);
  });
  return lines.join('\n');
}
