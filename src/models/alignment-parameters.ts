import type { Observer } from '../quantizer/observer.js';
import type { ArrayValue, ParameterValues } from '../tensor/parameters.js';
import { ALIGNMENT_EPSILON, alignmentName, type AlignmentAxis, type AlignmentPlace, type AlignmentSettings } from './distribution-alignment.js';
import type { DetectorSettings } from './settings.js';

/** What of a model's sizes decides the parameters of its alignments. */
type Sizes = Pick<DetectorSettings, 'modelWidth' | 'heads' | 'encoderLayers' | 'decoderLayers'>;

/** The operands of a place in every layer: `transformer.decoder.layers.0.multihead_attn.q`, ... */
export function alignedOperands(model: Sizes, place: AlignmentPlace): string[] {
  const [attention, operand] = place.split('.');
  const [part, layers] = attention === 'encoder' ? ['encoder', model.encoderLayers] as const : ['decoder', model.decoderLayers] as const;
  return Array.from({ length: layers }, (_, layer) => `transformer.${part}.layers.${layer}.${attention === 'co-attention' ? 'multihead_attn' : 'self_attn'}.${operand}`);
}

/**
 * Least squares of q = gamma z + beta, z = (q - mu) / sqrt(sigma^2 + eps) of Eq. 2.32, for each channel ([D], over all heads) or each head and
 * channel ([N, D]), over all values that it has seen.
 */
class AlignmentFit {
  readonly #sums: { n: number; z: number; q: number; zz: number; zq: number }[];

  constructor(readonly shape: readonly number[], readonly axis: AlignmentAxis) {
    this.#sums = Array.from({ length: shape.reduce((product, d) => product * d, 1) }, () => ({ n: 0, z: 0, q: 0, zz: 0, zq: 0 }));
  }

  /** @param q [B, N, T, D] */
  add({ shape, data }: { shape: readonly number[]; data: ArrayLike<number> }): void {
    const [batch, heads, tokens, width] = shape;
    const place = (b: number, n: number, t: number, d: number): number => ((b * heads + n) * tokens + t) * width + d;
    for (let b = 0; b < batch; b++) {
      for (let n = 0; n < heads; n++) {
        if (this.axis === 'queries') for (let d = 0; d < width; d++) this.#addRow(data, place(b, n, 0, d), width, tokens, () => n * width + d);
        else for (let t = 0; t < tokens; t++) this.#addRow(data, place(b, n, t, 0), 1, width, (d) => d);
      }
    }
  }

  /** `size` values at `start`, `start + step`, ... that are normalized together. */
  #addRow(data: ArrayLike<number>, start: number, step: number, size: number, parameter: (i: number) => number): void {
    let mean = 0, variance = 0;
    for (let i = 0; i < size; i++) mean += data[start + i * step] / size;
    for (let i = 0; i < size; i++) variance += (data[start + i * step] - mean) ** 2 / size;
    const deviation = Math.sqrt(variance + ALIGNMENT_EPSILON);
    for (let i = 0; i < size; i++) {
      const q = data[start + i * step], z = (q - mean) / deviation, sums = this.#sums[parameter(i)];
      sums.n++;
      sums.z += z;
      sums.q += q;
      sums.zz += z * z;
      sums.zq += z * q;
    }
  }

  /** gamma and beta; 1 and the mean for a channel whose z never varies. */
  solve(): { gamma: ArrayValue; beta: ArrayValue } {
    const lines = this.#sums.map(({ n, z, q, zz, zq }) => {
      const variance = zz - (z * z) / n, gamma = variance > 1e-9 * n ? (zq - (z * q) / n) / variance : 1;
      return { gamma, beta: (q - gamma * z) / n };
    });
    const array = (values: number[]): ArrayValue => ({ shape: this.shape, data: Float32Array.from(values) });
    return { gamma: array(lines.map((l) => l.gamma)), beta: array(lines.map((l) => l.beta)) };
  }
}

/** What `start: 'measured'` follows from. */
export interface AlignmentMeasurement {
  /** To be handed to the forward pass of the trained model without these alignments, on an eager backend, for about 8 batches. */
  observe: Observer;
  /** The alignments' parameters so far. @throws Error when an operand has not been observed */
  parameters: () => ParameterValues;
}

const operandShape = ({ modelWidth, heads }: Sizes, axis: AlignmentAxis): number[] => (axis === 'queries' ? [heads, modelWidth / heads] : [modelWidth / heads]);

/**
 * Measures gamma and beta by least squares, channel by channel, between an operand and its normalized values, so that a trained model keeps
 * what it computes as well as Eq. 2.32 lets it: what a normalization takes away (each token's own mean and deviation) is lost. The paper says
 * nothing about a start.
 */
export function measureAlignment(model: Sizes, { places, axis }: Pick<AlignmentSettings, 'places' | 'axis'>): AlignmentMeasurement {
  const operands = places.flatMap((place) => alignedOperands(model, place));
  const fits = new Map<string, AlignmentFit>();
  return {
    observe: (quantizer, values) => {
      const operand = quantizer.replace(/_quantizer$/, '');
      if (!operands.includes(operand)) return;
      const fit = fits.get(operand) ?? new AlignmentFit(operandShape(model, axis), axis);
      fits.set(operand, fit);
      fit.add({ shape: values.shape, data: values.dataSync() });
    },
    parameters: () => Object.fromEntries(operands.flatMap((operand) => {
      const fit = fits.get(operand), name = alignmentName(operand, axis);
      if (!fit) throw new Error(`${operand} has not been observed: hand 'observe' to a forward pass of the model before asking for ${name}`);
      const { gamma, beta } = fit.solve();
      return [[`${name}.gamma`, gamma], [`${name}.beta`, beta]] as const;
    })),
  };
}

/**
 * Names and initial values of the alignments that settings ask for. They belong to the transformer's parameters: their presence turns the
 * alignments on (align). Quantizers of aligned operands are to be calibrated with these parameters in place.
 * @param measurement for `start: 'measured'`, after its forward passes
 * @throws Error when `measured` has no measurement
 */
export function alignmentParameters(model: Sizes, settings: AlignmentSettings, measurement?: AlignmentMeasurement): ParameterValues {
  const { places, axis, start } = settings;
  if (start === 'measured') {
    if (!measurement) throw new Error('an alignment that starts as measured needs a measurement (measureAlignment)');
    return measurement.parameters();
  }
  const shape = operandShape(model, axis), size = shape.reduce((product, d) => product * d, 1);
  const filled = (value: number): ArrayValue => ({ shape, data: new Float32Array(size).fill(value) });
  return Object.fromEntries(places.flatMap((place) => alignedOperands(model, place)).flatMap((operand) => {
    const name = alignmentName(operand, axis);
    return [[`${name}.gamma`, filled(1)], [`${name}.beta`, filled(0)]] as const;
  }));
}
