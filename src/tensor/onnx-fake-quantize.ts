import type { OnnxLowering, LoweringContext } from './onnx-lowering.js';
import type { OnnxModelWriter, OnnxTensor } from './onnx-model.js';

/** Attributes of the quantizer's kernels (src/quantizer/fake-quantize.ts). */
interface Attributes {
  lowest: number;
  highest: number;
  axis: number;
  gradientScale: number;
}

/** A quantizer as a node of the graph: x, its scale and offset (none for weights) spread along x, and its level bounds. */
class Quantizer {
  readonly w: OnnxModelWriter;
  readonly x: OnnxTensor;
  readonly scale: OnnxTensor;
  readonly offset: OnnxTensor | undefined;
  readonly attributes: Attributes;

  constructor(c: LoweringContext) {
    this.w = c.w;
    this.x = c.input('x');
    this.attributes = c.node.attributes as unknown as Attributes;
    this.scale = this.#along(c.input('scale'));
    this.offset = c.node.inputNames.includes('offset') ? this.#along(c.input('offset')) : undefined;
  }

  get isShared(): boolean {
    return this.scale.shape.every((d) => d === 1);
  }

  #along(values: OnnxTensor): OnnxTensor {
    const shape = this.x.shape.map((_, k) => (k === this.attributes.axis ? values.shape[0] : 1));
    return this.w.node('Reshape', [values, this.w.integers(shape)], shape);
  }

  elementwise(op: string, a: OnnxTensor, b: OnnxTensor): OnnxTensor {
    return this.w.node(op, [a, b], this.x.shape);
  }

  /**
   * Q(x): onnxruntime's QuantizeLinear divides, rounds half to even and saturates to 8 bits in one pass; levels of fewer bits are
   * clipped as bytes.
   */
  quantized(): OnnxTensor {
    const { w, x, offset, attributes: { lowest, highest } } = this;
    const unsigned = lowest >= 0, type = unsigned ? 'uint8' : 'int8';
    const shifted = offset ? this.elementwise('Sub', x, offset) : x;
    const size = this.isShared ? [] : [this.scale.shape[this.attributes.axis]];
    const scale = w.node('Reshape', [this.scale, w.integers(size)], size);
    const axis: Record<string, number> = this.isShared ? {} : { axis: this.attributes.axis };
    const zero = this.isShared ? w.byte(0, type) : w.bytes(new Uint8Array(size[0]), type);
    let levels = w.node('QuantizeLinear', [shifted, scale, zero], x.shape, axis, type);
    const isWhole = unsigned ? lowest === 0 && highest === 255 : lowest === -128 && highest === 127;
    if (!isWhole) levels = w.node('Clip', [levels, w.byte(lowest, type), w.byte(highest, type)], x.shape, {}, type);
    const values = w.node('DequantizeLinear', [levels, scale, zero], x.shape, axis);
    return offset ? this.elementwise('Add', values, offset) : values;
  }

  /** lowest < (x - z)/alpha < highest, as bounds on x. */
  inside(): OnnxTensor {
    const { w, x, scale, offset, attributes: { lowest, highest } } = this;
    const bound = (level: number): OnnxTensor => {
      const value = w.node('Mul', [scale, w.scalar(level)], scale.shape);
      return offset ? w.node('Add', [value, offset], scale.shape) : value;
    };
    const above = w.node('Greater', [x, bound(lowest)], x.shape, {}, 'bool'), below = w.node('Less', [x, bound(highest)], x.shape, {}, 'bool');
    return w.node('And', [above, below], x.shape, {}, 'bool');
  }

  /** The sum of `values` over everything that shares a scale. */
  sum(values: OnnxTensor): OnnxTensor {
    const axes = this.x.shape.map((_, k) => k).filter((k) => this.scale.shape[k] === 1);
    return this.w.node('ReduceSum', [values, this.w.integers(axes)], this.scale.shape, { keepdims: 1 });
  }

  /** The sum of a b over everything that shares a scale: one product of two vectors where there is one scale. */
  dot(a: OnnxTensor, b: OnnxTensor): OnnxTensor {
    if (!this.isShared) return this.sum(this.elementwise('Mul', a, b));
    const n = this.x.shape.reduce((product, d) => product * d, 1), row = this.w.integers([1, n]);
    const product = this.w.node('Gemm', [this.w.node('Reshape', [a, row], [1, n]), this.w.node('Reshape', [b, row], [1, n])], [1, 1], { transB: 1 });
    return this.w.node('Reshape', [product, this.w.integers(this.scale.shape)], this.scale.shape);
  }
}

/** `FakeQuantizeActivation` and `FakeQuantizeWeight`. */
export const fakeQuantize: OnnxLowering = (c) => [new Quantizer(c).quantized()];

/**
 * `FakeQuantizeActivationGradient` and `FakeQuantizeWeightGradient`, from Q(x) itself instead of levels: with d = dy inside and
 * r = dy - d (what falls outside), dL/dz = g sum(r) and dL/dalpha = g (sum(d (Q(x) - x)) + sum(r (Q(x) - z))) / alpha, since inside
 * round(v) - v = (Q(x) - x)/alpha and outside the level is (Q(x) - z)/alpha.
 */
export const fakeQuantizeGradient: OnnxLowering = (c) => {
  const q = new Quantizer(c), { w, x, scale, offset, attributes: { gradientScale } } = q;
  const dy = c.input('dy'), y = q.quantized();
  const dx = w.node('Where', [q.inside(), dy, w.scalar(0)], x.shape);
  const outside = q.elementwise('Sub', dy, dx);
  const rounding = q.dot(dx, q.elementwise('Sub', y, x));
  let clipping = q.dot(outside, y);
  const small = (op: string, a: OnnxTensor, b: OnnxTensor): OnnxTensor => w.node(op, [a, b], scale.shape);
  const results: OnnxTensor[] = [];
  if (offset) {
    const total = q.sum(outside);
    clipping = small('Sub', clipping, small('Mul', total, offset));
    results.push(small('Mul', total, w.scalar(gradientScale)));
  }
  const dScale = small('Mul', small('Div', small('Add', rounding, clipping), scale), w.scalar(gradientScale));
  return [dx, ...[dScale, ...results].map((t, i) => w.node('Reshape', [t, w.integers(c.node.outputs[i + 1].shape)], c.node.outputs[i + 1].shape))];
};
