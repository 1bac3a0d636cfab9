import { cocoAnnotations } from '../data/coco-annotations.js';
import type { DetectionDataset } from '../data/dataset.js';
import { evaluateDetections, type CocoSummary } from '../detection/coco-average-precision.js';
import { concatDetections, type Detections } from '../detection/detections.js';
import { outputsToDetections, postProcessing } from '../detection/post-processing.js';
import { detector } from '../models/detector.js';
import { lastLayer } from '../models/detector-output.js';
import type { Quantization } from '../models/forward.js';
import { normalizedPixels } from '../models/normalize-images.js';
import type { DetectorSettings } from '../models/settings.js';
import { compileStep, type CompiledStep } from '../tensor/compile-step.js';
import type { ParameterValues } from '../tensor/parameters.js';

/** Images that are evaluated at a time. */
const BATCH = 40;

/** A detector in evaluation mode, compiled once and run with whatever parameters it is given. */
export interface DetectorEvaluator {
  /** Detections on the first `count` images of a data set. */
  detect(parameters: ParameterValues, dataset: DetectionDataset, count?: number): Promise<Detections>;
  /** COCO's numbers on the first `count` images. */
  evaluate(parameters: ParameterValues, dataset: DetectionDataset, count?: number): Promise<CocoSummary>;
  dispose(): Promise<void>;
}

/** Compiles the forward pass of a detector: running averages in batch normalization, last decoder layer. */
export function createDetectorEvaluator(settings: DetectorSettings, quantization: Quantization, threads?: number): DetectorEvaluator {
  const { imageSize, queries } = settings, postProcess = postProcessing(settings.family);
  let compiled: Promise<CompiledStep> | undefined;
  const compile = (parameters: ParameterValues): Promise<CompiledStep> =>
    compileStep(
      (state, { images }) => {
        const { logits, boxes } = detector(state, images, settings, quantization);
        return { outputs: { logits: lastLayer(logits), boxes: lastLayer(boxes) } };
      },
      { state: parameters, inputs: { images: { shape: [BATCH, imageSize, imageSize, 3], dtype: 'float32' } }, threads },
    );

  const detect = async (parameters: ParameterValues, dataset: DetectionDataset, count = dataset.length): Promise<Detections> => {
    const isNew = !compiled;
    const step = await (compiled ??= compile(parameters));
    if (!isNew) step.writeState(parameters);
    if (count === dataset.length) await dataset.packed?.(); // which composes its images faster than one by one
    const images = new Float32Array(BATCH * imageSize * imageSize * 3);
    const categories = dataset.classes.map((_, i) => i);
    const parts: Detections[] = [];
    for (let start = 0; start < count; start += BATCH) {
      const here = Math.min(BATCH, count - start);
      for (let i = 0; i < here; i++) normalizedPixels(dataset.sample(start + i).image, images.subarray(i * imageSize * imageSize * 3, (i + 1) * imageSize * imageSize * 3));
      const { logits, boxes } = await step.run({ images });
      const ids = Array.from({ length: here }, (_, i) => start + i);
      const processed = postProcess(logits.subarray(0, here * (logits.length / BATCH)), boxes.subarray(0, here * queries * 4), queries, ids.map(() => ({ width: dataset.size, height: dataset.size })));
      parts.push(outputsToDetections(processed, ids, categories));
    }
    return concatDetections(parts);
  };
  return {
    detect,
    evaluate: async (parameters, dataset, count) => evaluateDetections(cocoAnnotations(dataset, count), await detect(parameters, dataset, count)),
    dispose: async () => (await compiled)?.dispose(),
  };
}
