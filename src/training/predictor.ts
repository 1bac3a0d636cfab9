import { decodeImage } from '../data/decode-image.js';
import { pillowResize } from '../data/pillow-resize.js';
import { DETR_EVALUATION, evaluationPlan, scaledTransforms, type ImageSize } from '../data/transforms.js';
import { postProcessing } from '../detection/post-processing.js';
import { detector } from '../models/detector.js';
import { lastLayer } from '../models/detector-output.js';
import type { Quantization } from '../models/forward.js';
import { normalizedPixels } from '../models/normalize-images.js';
import type { DetectorSettings } from '../models/settings.js';
import { compileStep, type CompiledStep } from '../tensor/compile-step.js';
import type { ParameterValues } from '../tensor/parameters.js';

/** One detection in an image. */
export interface Detected {
  /** Class number, 0 to K - 1. */
  label: number;
  /** Probability of the class. */
  score: number;
  /** Left, top, right, bottom in pixels of the image in its file, not clipped to it. */
  box: [number, number, number, number];
}

/** What a detector finds in an image file. */
export interface Prediction extends ImageSize {
  file: string;
  /** The size that the detector saw. */
  seen: ImageSize;
  /** All that it gives, likeliest first. */
  detections: Detected[];
  /** Seconds of the forward pass alone. */
  seconds: number;
}

/** A detector that reads image files. */
export interface Predictor {
  /** @throws UserError that names the file when it can't be decoded */
  predict(file: string): Promise<Prediction>;
  /** The size that the detector sees of an image. */
  seenSize(image: ImageSize): ImageSize;
  dispose(): Promise<void>;
}

/**
 * A detector for image files of any size: each is resized as DETR's test images are (the shorter side 800 pixels, the longer one at most 1333; for
 * models of smaller images in proportion to their size), and the forward pass is compiled for what comes out. The pass of one size is kept until
 * another is asked for.
 */
export function createPredictor(settings: DetectorSettings, parameters: ParameterValues, quantization: Quantization): Predictor {
  const transforms = scaledTransforms(DETR_EVALUATION, settings.imageSize / DETR_EVALUATION.sizes[0]), process = postProcessing(settings.family);
  let current: { key: string; step: CompiledStep } | undefined;
  const seenSize = (image: ImageSize): ImageSize => evaluationPlan(image, transforms).size;
  const compiledFor = async ({ width, height }: ImageSize): Promise<CompiledStep> => {
    const key = `${width}x${height}`;
    if (current?.key !== key) {
      await current?.step.dispose();
      current = undefined;
      const step = await compileStep((state, { images }) => {
        const { logits, boxes } = detector(state, images, settings, quantization);
        return { outputs: { logits: lastLayer(logits), boxes: lastLayer(boxes) } };
      }, { state: parameters, inputs: { images: { shape: [1, height, width, 3], dtype: 'float32' } } });
      current = { key, step };
    }
    return current.step;
  };

  return {
    seenSize,
    predict: async (file) => {
      const { pixels, width, height } = await decodeImage(file), seen = seenSize({ width, height });
      const images = normalizedPixels(pillowResize(pixels, width, height, seen.width, seen.height));
      const step = await compiledFor(seen), started = performance.now();
      const { logits, boxes } = await step.run({ images });
      const seconds = (performance.now() - started) / 1000;
      const { scores, labels, boxes: corners } = process(logits as Float32Array, boxes as Float32Array, settings.queries, [{ width, height }]);
      const detections = Array.from(scores, (score, i): Detected => ({ label: labels[i], score, box: Array.from(corners.subarray(4 * i, 4 * i + 4)) as Detected['box'] }));
      return { file, width, height, seen, seconds, detections: detections.sort((a, b) => b.score - a.score) };
    },
    dispose: async () => current?.step.dispose(),
  };
}
