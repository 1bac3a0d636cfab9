import { z } from 'zod';
import { runSummarySchema } from './run-record.js';

/** Bins of a histogram. */
export const HISTOGRAM_BINS = 64;

const finite = z.number().finite().describe('a number');
const count = z.number().int().nonnegative().describe('a whole number of at least 0');
const xyxy = z.tuple([finite, finite, finite, finite]).describe('left, top, right, bottom in pixels');

/** The levels of the quantizer behind a histogram: level k of head n is k * scale[n] + offset[n], lowest <= k <= highest (Eq. 2.24). */
export const quantizerLevelsSchema = z
  .object({ bits: z.number().int().min(2).max(8).describe('2 to 8'), lowest: z.number().int(), highest: z.number().int(), scale: z.array(finite), offset: z.array(finite) })
  .strict();

/** Distribution of the co-attention's queries of one decoder layer, all heads together (Fig. 2.8). */
export const queryHistogramSchema = z
  .object({
    /** Decoder layer, from 0. */
    layer: count,
    /** `quantizer`: as Q_a of Eq. 2.26 sees them; `alignment`: before distribution alignment (Eq. 2.32). */
    place: z.enum(['quantizer', 'alignment']).describe('quantizer or alignment'),
    /** Left edge of the first bin and right edge of the last; values outside count in those. */
    low: finite,
    high: finite,
    /** Probability density of each bin; times the bins' width they add up to 1. */
    densities: z.array(finite).length(HISTOGRAM_BINS).describe(`${HISTOGRAM_BINS} numbers`),
    mean: finite,
    deviation: finite,
    /** Values behind it. */
    count,
    /** Of a Gaussian with this deviation, nats (Eq. 2.31). */
    gaussianEntropy: finite,
    /** Of the quantizer's integers, bits; null without a quantizer. */
    codeEntropy: finite.nullable(),
    quantizer: quantizerLevelsSchema.nullable(),
  })
  .strict();

/** Attention maps of the last decoder layer for one object of one image (Fig. 2.9): those of the query that detects it best. */
export const attentionMapsSchema = z
  .object({
    /** The image's id among `pictures`. */
    picture: z.string().min(1),
    /** Class of the object, and where it is. */
    label: z.string().min(1),
    truth: xyxy,
    /** Index of the query, its box and the probability that it gives the object's class. */
    query: count,
    box: xyxy,
    probability: z.number().min(0).max(1),
    /** Size of the feature map. */
    width: count,
    height: count,
    /** A of Eq. 2.26 for each head, [height * width], rows first; each adds up to 1. */
    heads: z.array(z.array(finite)),
  })
  .strict();

/** An observed image: RGB bytes [size, size, 3], base64. */
export const observedPictureSchema = z.object({ id: z.string().min(1), size: count, rgb: z.string() }).strict();

/**
 * What was observed of a finished run: `observations.json` of its folder, or figures/recorded/observations-*.json. The first keys
 * are those of its summary.
 */
export const observationSchema = runSummarySchema
  .pick({ schemaVersion: true, id: true, artefact: true, method: true, bits: true, model: true, scale: true, dataset: true, seed: true, recipe: true, tau: true, lambda: true, scope: true, groups: true, finishedAt: true })
  .extend({
    /** Images that the histograms are over, the first ones of MiniVOC's test split. */
    images: count,
    queries: z.array(queryHistogramSchema),
    attention: z.array(attentionMapsSchema),
    pictures: z.array(observedPictureSchema),
  })
  .strict();

/** See `queryHistogramSchema`. */
export type QueryHistogram = z.infer<typeof queryHistogramSchema>;
/** See `attentionMapsSchema`. */
export type AttentionMaps = z.infer<typeof attentionMapsSchema>;
/** See `observedPictureSchema`. */
export type ObservedPicture = z.infer<typeof observedPictureSchema>;
/** See `observationSchema`. */
export type ObservationRecord = z.infer<typeof observationSchema>;
