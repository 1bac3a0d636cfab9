import path from 'node:path';
import { UserError } from '../errors.js';
import { readBytes, sha256, writeFileAtomic } from '../files.js';
import { quantizationPolicy } from '../models/quantization-policy.js';
import { familyTitles, type DetectorSettings } from '../models/settings.js';
import { sizeOf, type ParameterValues } from '../tensor/parameters.js';
import { readParameters, writeParameters } from '../tensor/parameter-file.js';
import { createDetectorEvaluator } from '../training/evaluate-detector.js';
import { readRun, readSummary, runFolder, type RunDescription } from '../training/run-folder.js';
import { parsePrecision } from '../quantizer/precision.js';
import { openData, splitSizes } from './detector-run.js';
import { predictionModel } from './prediction-model.js';
import { SHIPPED_FOLDER, shippedManifestSchema, type ShippedManifest } from './shipped-weights.js';
import type { ModelScale } from '../models/settings.js';

/** Arrays with fewer elements stay f32: scales and offsets of quantizers, normalizations, biases. They are few, and their digits matter. */
const LEAST_HALF = 1024;

/** What weights are packed from and as. */
export interface PackOptions {
  /** The run's id. */
  run: string;
  /** `gpu-teacher`: the file will be `minivoc-gpu-teacher.safetensors`. */
  name: string;
  /** Folder of the runs. */
  root?: string;
  /** Where to; default: the weights that come with the project. */
  folder?: string;
  /** Evaluates on the first images of each split only; for tests. */
  images?: number;
  told?(what: string): void;
}

/**
 * Writes a run's detector as weights that come with the project: large arrays in f16, a manifest with SHA-256, the run that made them, and the AP50 of
 * the file as it is, roundings included, on test and test-unseen.
 * @throws UserError when there is no such run, it is no detector's, or its name would not do
 */
export async function packWeights({ run: id, name, root, folder = SHIPPED_FOLDER, images, told = () => undefined }: PackOptions): Promise<{ file: string; bytes: number; manifest: ShippedManifest }> {
  if (!/^[a-z][a-z0-9-]*$/.test(name)) throw new UserError(`--as ${name}: should be small letters, digits and hyphens, such as gpu-teacher`);
  const { parameters, settings: model, bits } = predictionModel(id, { root });
  const run = readRun(runFolder(id, root))!, scale = scaleOf(run);
  const file = path.join(folder, `minivoc-${name}.safetensors`);
  writeParameters(file, parameters, { model: `${model.family} ${scale}`, bits, run: id }, (array) => sizeOf(parameters[array].shape) >= LEAST_HALF);
  const bytes = readBytes(file, 'pack the weights again');
  told(`${file}: ${(bytes.length / 1e6).toFixed(1)} MB; evaluating it`);
  const ap50 = await measuredAp50(readParameters(file).parameters, model, run, scale, images);
  const summary = readSummary(runFolder(id, root)), training = run.settings.training as { steps: number };
  const manifest = shippedManifestSchema.parse({
    schemaVersion: 1, file: path.basename(file), sha256: sha256(bytes), model: name, ap50,
    madeBy: {
      command: run.command, run: id, experiment: run.experiment, family: familyTitles[model.family], bits, model, settings: run.settings.training, startsFrom: run.settings.startsFrom,
      engine: `${run.engine.name} ${run.engine.version}`, steps: training.steps, ...(summary && { machine: summary.machine, seconds: summary.seconds, finishedAt: summary.finishedAt }),
      data: run.dataHash, packed: `arrays of ${LEAST_HALF} elements or more in f16`,
    },
  } satisfies ShippedManifest);
  writeFileAtomic(path.join(folder, `minivoc-${name}.json`), `${JSON.stringify(manifest, null, 2)}\n`);
  return { file, bytes: bytes.length, manifest };
}

/** The scale that a run was trained at. @throws UserError for one that was not trained on MiniVOC */
function scaleOf({ id, settings }: RunDescription): ModelScale {
  const { scale } = settings.training as { scale: string };
  if (!Object.hasOwn(splitSizes, scale)) throw new UserError(`${id}: was trained at scale ${scale}, not on MiniVOC: weights that come with the project are MiniVOC's`);
  return scale as ModelScale;
}

async function measuredAp50(parameters: ParameterValues, model: DetectorSettings, { settings: { bits, preset, groups } }: RunDescription, scale: ModelScale, images?: number): Promise<ShippedManifest['ap50']> {
  const quantization = quantizationPolicy({ precision: parsePrecision(String(bits)), preset: preset as 'paper', groups: groups as never });
  const evaluator = createDetectorEvaluator(model, quantization), { test, unseen } = openData(model, splitSizes[scale]);
  const rounded = async (dataset: typeof test): Promise<number> => Math.round(Math.max(0, (await evaluator.evaluate(parameters, dataset, images)).ap50) * 1e4) / 1e4;
  try {
    return { test: await rounded(test), 'test-unseen': await rounded(unseen) };
  } finally {
    await evaluator.dispose();
  }
}
