import { Matrix } from 'ml-matrix';
import { heldOutSplit, meanOfRows, standardizedMemory } from './memory.js';
import { checkMemoryAndImages, reconstructionInformation, RECONSTRUCTION_SETTINGS, type MemoryAndImages, type ReconstructionSettings } from './reconstruction.js';
import { gramMatrix, medianWidth, renyiMutualInformation, squaredDistances } from './renyi-entropy.js';
import { variationalBound } from './variational-bound.js';

/** Estimates of I(X; E) from the literature, beside the paper's; in bits, each of its own quantity. */
export interface InformationCrossChecks {
  /** Matrix-based mutual information of order 2 of images and whole memories (`renyiMutualInformation`), median widths. */
  renyi: number;
  /** What a linear-Gaussian reader knows of a token's own patch from the token (`variationalBound` without H(X)). */
  variational: number;
  /** The InfoNCE bound on the same. */
  infoNce: number;
}

/** A point of Fig. 2.12(b): one model after some training. */
export interface InformationPlanePoint {
  epoch: number;
  /** I(X; E): minus the l1 error of the reconstruction (A26). */
  informationX: number;
  /** I(y^GT; E, q): AP50 as a fraction (A26). */
  informationY: number;
  crossChecks?: InformationCrossChecks;
}

/**
 * A point of the information plane, Fig. 2.12(b) (PAPER.md 1.8, decision A26).
 *
 * The paper contradicts itself here: Eq. 2.27 minimizes I(X; E) (the information bottleneck), while the text on the figure praises the method whose
 * points lie further right, at a larger I(X; E). So the horizontal place is reported and is no criterion of success; only the vertical one is.
 * Measured: on 400 MiniVOC images at 16 pixels the encoder of the project's trained small DETR leaves an error of 0.147, the same network before any
 * training 0.076, and the mean image 0.191: training for detection removes information about the image, as Eq. 2.27 wants it. Another seed of split and
 * start shifts these errors by up to 0.006, all in one direction, and keeps the order; at 64 pixels by up to 0.026, which can turn the order of two
 * trained models around: compare at one seed, or over several.
 * @param ap50 on the test images, as a fraction
 * @param crossChecks also estimate as {@link informationCrossChecks} does
 * @throws UserError as `reconstructionInformation`
 */
export async function informationPlanePoint({ epoch, ap50, settings, seed, threads, crossChecks = false, ...data }: MemoryAndImages & { epoch: number; ap50: number; settings?: ReconstructionSettings; seed: number; threads?: number; crossChecks?: boolean }): Promise<InformationPlanePoint> {
  const { informationX } = await reconstructionInformation({ ...data, settings, seed, threads });
  const point = { epoch, informationX, informationY: ap50 };
  return crossChecks ? { ...point, crossChecks: informationCrossChecks({ ...data, seed }) } : point;
}

/** Side, in averages of pixels, of the patch of the image under one token that the cross-checks look at. */
const PATCH = 2;
/** Most images whose memories are compared pair by pair. */
const MOST_IMAGES = 512;

/**
 * Two cross-checks of the reconstruction estimate, without training: the matrix-based Renyi information of images and memories, and a variational
 * bound. Both look at images averaged to 2x2 values for each token. The variational one takes tokens as samples, X the 2x2 values under the token
 * and E the token, both without their mean at that place; by data processing I(patch; token) <= I(X; E). Images, not tokens, are held out.
 * @param heldOutFraction of the images, for the variational bound
 * @throws UserError when sizes do not fit, there are too few images, or the memory holds a value that is no number
 */
export function informationCrossChecks({ seed, heldOutFraction = RECONSTRUCTION_SETTINGS.heldOutFraction, ...data }: MemoryAndImages & { seed: number; heldOutFraction?: number }): InformationCrossChecks {
  const count = checkMemoryAndImages(data), { side, channels, imageSize } = data;
  const tokens = side * side, { train, heldOut } = heldOutSplit(count, heldOutFraction, seed);
  const memory = standardizedMemory(data.memory, channels, train, tokens * channels);
  const patches = patchesOf(data.images, imageSize, side), values = patches.length / (count * tokens);

  const compared = Math.min(count, MOST_IMAGES);
  const ofImages = squaredDistances({ values: patches.subarray(0, compared * tokens * values), rows: compared, columns: tokens * values });
  const ofMemories = squaredDistances({ values: memory.subarray(0, compared * tokens * channels), rows: compared, columns: tokens * channels });
  const widths = [ofImages, ofMemories].map(medianWidth);
  const renyi = widths.includes(0) ? 0 : renyiMutualInformation(gramMatrix(ofImages, widths[0]), gramMatrix(ofMemories, widths[1])); // a collapsed encoder: the same memory for all images

  const meanPatch = meanOfRows(patches, train, tokens * values), meanMemory = meanOfRows(memory, train, tokens * channels);
  const part = (rows: Int32Array) => ({ x: tokenSamples(patches, meanPatch, rows, values), e: tokenSamples(memory, meanMemory, rows, channels) });
  const { bits, infoNce } = variationalBound({ train: part(train), heldOut: part(heldOut) });
  return { renyi, variational: bits, infoNce };
}

/** Images averaged to PATCH x PATCH values (fewer where the memory is finer) under each token, token by token: [n, S, PATCH PATCH 3]. */
function patchesOf(images: Float32Array, imageSize: number, side: number): Float32Array {
  const patch = Math.min(PATCH, imageSize / side), factor = imageSize / side / patch;
  const count = images.length / (imageSize * imageSize * 3), perToken = patch * patch * 3, patches = new Float32Array(count * side * side * perToken);
  for (let i = 0; i < images.length; i += 3) {
    const x = Math.floor((i / 3) % imageSize / factor), y = Math.floor(Math.floor(i / 3 / imageSize) % imageSize / factor), n = Math.floor(i / (imageSize * imageSize * 3));
    const token = (n * side + Math.floor(y / patch)) * side + Math.floor(x / patch);
    const to = token * perToken + ((y % patch) * patch + (x % patch)) * 3;
    for (let c = 0; c < 3; c++) patches[to + c] += images[i + c] / (factor * factor);
  }
  return patches;
}

/** Tokens of the given images as samples, without the mean of their place: [n, S, size] -> [rows S, size]. */
function tokenSamples(values: Float32Array, mean: Float32Array, rows: Int32Array, size: number): Matrix {
  const tokens = mean.length / size, samples = Matrix.zeros(rows.length * tokens, size);
  rows.forEach((row, r) => {
    for (let s = 0; s < tokens; s++) for (let c = 0; c < size; c++) samples.set(r * tokens + s, c, values[(row * tokens + s) * size + c] - mean[s * size + c]);
  });
  return samples;
}
