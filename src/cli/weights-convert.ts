import { Option, type Command } from 'commander';
import { UserError } from '../errors.js';
import { parameterCount } from '../models/cost.js';
import { importWeights, writeImported, type ImportedWeights } from '../models/weights/import-weights.js';
import { isComplete, reportLines } from '../models/weights/key-report.js';
import { checkNumbers } from '../models/weights/load-weights.js';
import { KNOWN_DETECTORS } from '../models/weights/recognize-model.js';
import { familyTitles } from '../models/settings.js';
import { sizeOf } from '../tensor/parameters.js';

const count = (n: number): string => n.toLocaleString('en-US');

/** What a file of weights is, in lines: form, model, sizes. */
function describe({ file, form, model, parameters, classNames }: ImportedWeights): string[] {
  const numbers = Object.values(parameters).reduce((n, { shape }) => n + sizeOf(shape), 0);
  const lines = [`${file}: ${form}`];
  if (model.kind === 'backbone') return [...lines, `model: ${model.title}, a backbone without a detector; ${count(numbers)} numbers in ${Object.keys(parameters).length} arrays`];
  const { family, queries, classes, encoderLayers, decoderLayers, modelWidth, heads } = model.settings;
  return [
    ...lines,
    `model: ${model.title} (${familyTitles[family]}, ${queries} queries, ${classes} classes, ${encoderLayers} + ${decoderLayers} layers of width ${modelWidth} with ${heads} heads); ${count(parameterCount(model.settings))} parameters, ${count(numbers)} numbers in ${Object.keys(parameters).length} arrays with the buffers`,
    ...(classNames ? [`classes: ${classNames.slice(0, 6).join(', ')}${classNames.length > 6 ? ', …' : ''}`] : []),
  ];
}

const modelOption = (): Option => new Option('--model <name>', 'the model that the weights are of, where it can\'t be found from their shapes').choices(Object.keys(KNOWN_DETECTORS));

/** `qdetr weights show`: what a file is, and every key that does not fit. */
function addShow(weights: Command): void {
  weights
    .command('show')
    .description('what a file of weights is: its model, its arrays, every key that is missing, strange or of another shape')
    .argument('<file>', 'safetensors, .pth or .bin file, or a folder of transformers')
    .addOption(modelOption())
    .option('--keys', 'all arrays with their shapes, as they are called here')
    .option('--json', 'print one JSON object')
    .action((file: string, { model, keys, json }: { model?: string; keys?: boolean; json?: boolean }) => {
      const imported = importWeights(file, model);
      const shapes = Object.fromEntries(Object.entries(imported.parameters).map(([name, { shape }]) => [name, shape]));
      if (json) {
        console.log(JSON.stringify({ file: imported.file, form: imported.form, model: imported.model, isComplete: isComplete(imported.report), report: imported.report, classes: imported.classNames, ...(keys && { keys: shapes }) }));
        return;
      }
      const ending = isComplete(imported.report) ? 'every key of the model is there' : 'these weights are not whole: see above';
      console.log([...describe(imported), ...(keys ? Object.entries(shapes).map(([name, shape]) => `  ${name} [${shape.join(', ')}]`) : []), ...reportLines(imported.report), ending].join('\n'));
    });
}

/** `qdetr weights convert`: weights of others as this project's safetensors. */
function addConvert(weights: Command): void {
  weights
    .command('convert')
    .description('write weights of facebookresearch/detr, transformers, SMCA-DETR or torchvision as safetensors with the names and layouts of this project')
    .requiredOption('--from <file>', 'safetensors, .pth or .bin file, or a folder of transformers')
    .requiredOption('--to <file>', 'the .safetensors file to write')
    .addOption(modelOption())
    .action(({ from, to, model }: { from: string; to: string; model?: string }) => {
      if (!to.endsWith('.safetensors')) throw new UserError(`--to ${to}: should end with .safetensors`);
      const imported = importWeights(from, model);
      console.log([...describe(imported), ...reportLines(imported.report)].join('\n'));
      if (!isComplete(imported.report)) throw new UserError(`${imported.file} is not a whole ${imported.model.title}, so ${to} was not written: get the file again, or name its model with --model`);
      checkNumbers(imported);
      writeImported(to, imported);
      console.log(`written: ${to}`);
    });
}

/** Adds `weights show` and `weights convert`. */
export function addConversion(weights: Command): void {
  addShow(weights);
  addConvert(weights);
}
