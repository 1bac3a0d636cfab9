import { UserError } from '../errors.js';
import { adamWCorrections } from '../tensor/adamw-corrections.js';
import { adamW } from '../tensor/adamw.js';
import { compileStep, type StateStep } from '../tensor/compile-step.js';
import type { TensorSpec } from '../tensor/graph.js';
import type { ParameterValues } from '../tensor/parameters.js';
import { RandomStream } from '../tensor/random.js';
import { tf, type Tensor } from '../tensor/tf.js';
import { heldOutSplit, meanOfRows, standardizedMemory } from './memory.js';
import { initialDecoderParameters, l1Errors, reconstructionDecoder, type DecoderShape } from './reconstruction-decoder.js';

/** What every decoder gets, whatever the model: the same budget for all (A26). */
export interface ReconstructionSettings {
  /** Channels of the decoder's convolutions, the last one aside. */
  width: number;
  /** Optimizer steps. */
  steps: number;
  /** Images in a step. */
  batchSize: number;
  /** AdamW's, at the start; falls to 0 in half a cosine. No weight decay. */
  learningRate: number;
  /** Part of the images that the decoder never sees and is judged on. */
  heldOutFraction: number;
}

/** The budget that the figures use; its running time and how well it tells memories apart are in test/information/reconstruction.test.ts. */
export const RECONSTRUCTION_SETTINGS: ReconstructionSettings = { width: 32, steps: 150, batchSize: 16, learningRate: 5e-3, heldOutFraction: 0.25 };

/** Encoder memories and the images that they were computed from. */
export interface MemoryAndImages {
  /** E of every image [n, S, C], S = side^2, row by row. */
  memory: Float32Array;
  /** X [n, imageSize, imageSize, 3] in [0, 1]; `imageTargets` makes it from pixels. */
  images: Float32Array;
  side: number;
  /** C. */
  channels: number;
  /** side times a power of two; may be smaller than the images that the encoder saw. */
  imageSize: number;
}

/** Result of {@link reconstructionInformation}; errors are mean absolute differences of pixels in [0, 1]. */
export interface Reconstruction {
  /** -heldOutL1: the horizontal axis of Fig. 2.12(b). */
  informationX: number;
  trainL1: number;
  heldOutL1: number;
  /** Error on the held-out images of the mean image of the others: what a memory that says nothing allows. */
  baselineL1: number;
  /** What the decoder makes of the first held-out images (8 at most): pixels [imageSize, imageSize, 3] in [0, 1], for looking at. */
  examples: { image: number; decoded: Float32Array }[];
}

/** Most examples. */
const EXAMPLES = 8;
/** Streams of random numbers. */
const START = 12, ORDER = 13;

/**
 * The reconstruction estimate of I(X; E) (PAPER.md 1.8, decision A26): a decoder is trained on the frozen memory to give the image back, and
 * its l1 error on images that it has not seen, with the sign turned, stands for the information. I(X; E) = H(X) - H(X|E), and an error bounds
 * H(X|E) from above under a Laplace model of the pixels, so that orders can be compared but nothing has a unit of bits.
 * The paper does not say which images the error is over: here a held-out part, so that a decoder that learns by heart gains nothing.
 * The memory is standardized by channel (statistics of the training part), which leaves I(X; E) as it is and gives all models equal chances.
 * @param settings, seed, threads alike for all models that are compared; the seed decides split, start and order
 * @throws UserError when sizes do not fit, when there are too few images, or when the memory holds a value that is no number
 */
export async function reconstructionInformation({ settings = RECONSTRUCTION_SETTINGS, seed, threads = 1, ...data }: MemoryAndImages & { settings?: ReconstructionSettings; seed: number; threads?: number }): Promise<Reconstruction> {
  const count = checkMemoryAndImages(data), { side, channels, imageSize, images } = data;
  const { heldOutFraction, batchSize } = settings;
  if (!(heldOutFraction > 0 && heldOutFraction < 1)) throw new UserError(`heldOutFraction should be between 0 and 1, but is ${heldOutFraction}`);
  const { train, heldOut } = heldOutSplit(count, heldOutFraction, seed);
  if (heldOut.length < 1 || train.length < batchSize) throw new UserError(`${count} images are too few to fit a decoder: give at least ${Math.ceil(Math.max(batchSize / (1 - heldOutFraction), 1 / heldOutFraction))}, or lower batchSize (${batchSize})`);

  const shape: DecoderShape = { side, channels, imageSize, width: settings.width };
  const tokens = side * side * channels, pixels = imageSize * imageSize * 3;
  const memory = standardizedMemory(data.memory, channels, train, tokens);
  const mean = meanOfRows(images, train, pixels);
  const parameters = await fitDecoder({ memory, images, train, shape, settings, seed, threads, mean });
  const { errors, decoded } = await decodeAll({ memory, images, shape, parameters, batchSize, threads, shown: heldOut.subarray(0, EXAMPLES) });
  const average = (values: ArrayLike<number>, rows: Int32Array): number => rows.reduce((sum, row) => sum + values[row], 0) / rows.length;
  const baseline = Float64Array.from({ length: count }, (_, row) => {
    let sum = 0;
    for (let i = 0; i < pixels; i++) sum += Math.abs(images[row * pixels + i] - mean[i]);
    return sum / pixels;
  });
  const heldOutL1 = average(errors, heldOut);
  return { informationX: -heldOutL1, trainL1: average(errors, train), heldOutL1, baselineL1: average(baseline, heldOut), examples: decoded };
}

/**
 * Number of images in memory and images.
 * @throws UserError when sizes do not fit or the memory holds a value that is no number
 */
export function checkMemoryAndImages({ memory, images, side, channels, imageSize }: MemoryAndImages): number {
  const doublings = Math.log2(imageSize / side);
  if (!Number.isInteger(doublings) || doublings < 0) throw new UserError(`imageSize (${imageSize}) should be the memory's side (${side}) times a power of two: reduce the images with imageTargets`);
  const count = memory.length / (side * side * channels);
  if (!Number.isInteger(count) || images.length !== count * imageSize * imageSize * 3) throw new UserError(`memory (${memory.length} values of ${side} x ${side} tokens with ${channels} channels) and images (${images.length} values of ${imageSize} x ${imageSize} x 3) should hold one entry for each image: check side, channels and imageSize`);
  if (!memory.every(Number.isFinite)) throw new UserError('memory holds a value that is no number: the model that made it has diverged; take an earlier checkpoint');
  return count;
}

interface Fit { memory: Float32Array; images: Float32Array; train: Int32Array; shape: DecoderShape; settings: ReconstructionSettings; seed: number; threads: number; mean: Float32Array }

const SCALAR: TensorSpec = { shape: [], dtype: 'float32' };
const FIRST = 'first/', SECOND = 'second/', PARAMETER = 'parameter/';

async function fitDecoder({ memory, images, train, shape, settings, seed, threads, mean }: Fit): Promise<ParameterValues> {
  const { steps, batchSize, learningRate } = settings, { side, channels, imageSize } = shape;
  const colour = [0, 1, 2].map((c) => Math.min(Math.max(mean.reduce((sum, v, i) => sum + (i % 3 === c ? v : 0), 0) / (mean.length / 3), 0.02), 0.98));
  const start = initialDecoderParameters(shape, colour, new RandomStream(seed, START));
  const zeros = (prefix: string): ParameterValues => Object.fromEntries(Object.entries(start).map(([name, v]) => [prefix + name, { shape: v.shape, data: new Float32Array(v.data.length) }]));
  const state = { ...Object.fromEntries(Object.entries(start).map(([name, v]) => [PARAMETER + name, v])), ...zeros(FIRST), ...zeros(SECOND) };
  const compiled = await compileStep(decoderStep(Object.keys(start), shape), {
    state,
    inputs: { memory: { shape: [batchSize, side * side, channels], dtype: 'float32' }, images: { shape: [batchSize, imageSize, imageSize, 3], dtype: 'float32' }, learningRate: SCALAR, correction1: SCALAR, correction2: SCALAR },
    threads,
  });
  const batch = { memory: new Float32Array(batchSize * side * side * channels), images: new Float32Array(batchSize * imageSize * imageSize * 3) };
  try {
    const perEpoch = Math.floor(train.length / batchSize);
    let order: Int32Array = new Int32Array();
    for (let step = 0; step < steps; step++) {
      if (step % perEpoch === 0) order = new RandomStream(seed, ORDER, step / perEpoch).permutation(train.length);
      for (let i = 0; i < batchSize; i++) {
        const row = train[order[(step % perEpoch) * batchSize + i]];
        copyRow(memory, row, batch.memory, i, side * side * channels);
        copyRow(images, row, batch.images, i, imageSize * imageSize * 3);
      }
      const { correction1, correction2 } = adamWCorrections(step + 1);
      const rate = learningRate * 0.5 * (1 + Math.cos((Math.PI * step) / steps));
      await compiled.run({ ...batch, learningRate: Float32Array.of(rate), correction1: Float32Array.of(correction1), correction2: Float32Array.of(correction2) });
    }
    return Object.fromEntries(Object.entries(await compiled.readState()).filter(([name]) => name.startsWith(PARAMETER)).map(([name, v]) => [name.slice(PARAMETER.length), v]));
  } finally {
    await compiled.dispose();
  }
}

/** One step of AdamW on the l1 error of a batch; the state holds `parameter/`, `first/` and `second/` of every name. */
function decoderStep(names: readonly string[], shape: DecoderShape): StateStep {
  return (state, { memory, images, learningRate, correction1, correction2 }) => {
    const { value, grads } = tf.valueAndGrads((...parameters: Tensor[]) => {
      const decoded = reconstructionDecoder(Object.fromEntries(names.map((name, i) => [name, parameters[i]])), memory, shape);
      return tf.mean(l1Errors(decoded, images)) as tf.Scalar;
    })(names.map((name) => state[PARAMETER + name]));
    const next = names.map((name, i) => {
      const { parameter, first, second } = adamW({ parameter: state[PARAMETER + name], gradient: grads[i], first: state[FIRST + name], second: state[SECOND + name] }, { learningRate, correction1, correction2, weightDecay: 0 });
      return { [PARAMETER + name]: parameter, [FIRST + name]: first, [SECOND + name]: second };
    });
    return { state: Object.assign({}, ...next), outputs: { loss: value } };
  };
}

/** l1 error of every image with a fitted decoder, and what it makes of the shown ones. */
async function decodeAll({ memory, images, shape, parameters, batchSize, threads, shown }: Pick<Fit, 'memory' | 'images' | 'shape' | 'threads'> & { parameters: ParameterValues; batchSize: number; shown: Int32Array }): Promise<{ errors: Float32Array; decoded: Reconstruction['examples'] }> {
  const { side, channels, imageSize } = shape, tokens = side * side * channels, pixels = imageSize * imageSize * 3;
  const decode: StateStep = (state, inputs) => {
    const decoded = reconstructionDecoder(state, inputs.memory, shape);
    return { outputs: { decoded, errors: l1Errors(decoded, inputs.images) } };
  };
  const compiled = await compileStep(decode, {
    state: parameters,
    inputs: { memory: { shape: [batchSize, side * side, channels], dtype: 'float32' }, images: { shape: [batchSize, imageSize, imageSize, 3], dtype: 'float32' } },
    threads,
  });
  const count = memory.length / tokens, errors = new Float32Array(count);
  const decoded = Array.from(shown, (image) => ({ image, decoded: new Float32Array(pixels) }));
  const batch = { memory: new Float32Array(batchSize * tokens), images: new Float32Array(batchSize * pixels) };
  try {
    for (let from = 0; from < count; from += batchSize) {
      const filled = Math.min(batchSize, count - from); // what is left of the batch before stays behind it, and its errors are not read
      for (let i = 0; i < filled; i++) {
        copyRow(memory, from + i, batch.memory, i, tokens);
        copyRow(images, from + i, batch.images, i, pixels);
      }
      const outputs = await compiled.run(batch) as Record<'errors' | 'decoded', Float32Array>;
      errors.set(outputs.errors.subarray(0, filled), from);
      for (const example of decoded) if (example.image >= from && example.image < from + filled) example.decoded.set(outputs.decoded.subarray((example.image - from) * pixels, (example.image - from + 1) * pixels));
    }
    return { errors, decoded };
  } finally {
    await compiled.dispose();
  }
}

function copyRow(from: Float32Array, row: number, to: Float32Array, at: number, size: number): void {
  to.set(from.subarray(row * size, (row + 1) * size), at * size);
}
