import { tf, type Tensor } from './tf.js';
import { constantValue, newNode, type DataType, type Node, type TypedArray, type Value } from './graph.js';
import type { Attributes, KernelDefinition, NamedInputs, RecordingBackend } from './named-kernel.js';
import { shapeRules } from './shape-rules.js';

/** What the tracing backend gathers during one trace. */
export interface Recording {
  nodes: Node[];
  /** Named kernels that the engine lowers by itself; all others are recorded through their composite. */
  keeps: (kernelName: string) => boolean;
}

const BACKEND = 'qdetr-trace';

/**
 * A tfjs backend that records kernels (name, attributes, shapes) instead of computing them. Tensors hold no numbers, so that
 * a full-size model is traced in milliseconds and without its memory.
 */
class TracingBackend extends tf.KernelBackend implements RecordingBackend {
  recording: Recording = { nodes: [], keeps: () => false };
  readonly values = new WeakMap<object, Value>();

  override write(elements: tf.BackendValues, shape: number[], dtype: tf.DataType): object {
    const id = {};
    this.values.set(id, constantOf(elements, shape, dtype));
    return id;
  }

  override move(id: object, elements: tf.BackendValues, shape: number[], dtype: tf.DataType): void {
    this.values.set(id, constantOf(elements, shape, dtype));
  }

  override readSync(id: object): TypedArray {
    const value = this.values.get(id);
    if (value?.constant === undefined) throw new Error(`a traced step read the elements of a tensor of shape [${value?.shape.join(', ')}]: a step must not depend on values`);
    if (typeof value.constant !== 'number') return value.constant;
    return new Float32Array(tf.util.sizeFromShape([...value.shape])).fill(value.constant);
  }

  override read(id: object): Promise<TypedArray> {
    return Promise.resolve(this.readSync(id));
  }

  override disposeData(): boolean { return true; }
  override incRef(): void { /* values live as long as their graph */ }
  override refCount(): number { return 1; }
  override numDataIds(): number { return 0; }
  override memory(): { unreliable: boolean } { return { unreliable: true }; }
  override floatPrecision(): 16 | 32 { return 32; }
  override epsilon(): number { return 1e-7; }
  override timerAvailable(): boolean { return false; }

  /** Tensor information for a value of the graph, as kernels return it. */
  infoOf(value: Value): tf.TensorInfo {
    const dataId = {};
    this.values.set(dataId, value);
    return { dataId, shape: [...value.shape], dtype: value.dtype };
  }

  /** The value behind a tensor. */
  valueBehind(tensor: tf.TensorInfo): Value {
    const value = this.values.get(tensor.dataId);
    if (!value) throw new Error(`a tensor of shape [${tensor.shape.join(', ')}] was made outside of the traced step: pass it in as an input or make it inside`);
    return value;
  }

  record(op: string, inputs: Record<string, Value>, attributes: Record<string, unknown>, outputs: { shape: readonly number[]; dtype: DataType }[]): Value[] {
    const node = newNode(op, inputs, attributes, outputs);
    this.recording.nodes.push(node);
    return node.outputs;
  }

  recordNamedKernel(definition: KernelDefinition<string, Attributes>, inputs: NamedInputs<string>, attributes: Attributes): Tensor[] {
    const composite = () => tf.tidy(() => definition.composite(inputs, attributes));
    if (!this.recording.keeps(definition.name)) return composite();
    const values = Object.fromEntries(Object.entries(inputs).map(([name, t]) => [name, this.valueBehind(t)]));
    const before = this.recording.nodes; // the composite, traced aside, tells the outputs' shapes
    this.recording.nodes = [];
    const specs = definition.outputs?.(values, attributes) ?? composite().map((t) => ({ shape: [...t.shape], dtype: t.dtype as DataType }));
    this.recording.nodes = before;
    return this.record(definition.name, values, { ...attributes }, specs).map((v) => this.infoOf(v)) as unknown as Tensor[];
  }
}

/** A constant of the caller's elements: copied, unless they are all the same (tfjs writes the ones of a mean's gradient out in full). */
function constantOf(elements: tf.BackendValues, shape: number[], dtype: tf.DataType): Value {
  const spec = { shape, dtype: dtype as DataType }, value = constantValue(elements as TypedArray, spec);
  return typeof value.constant === 'number' ? value : constantValue(typedArray(elements, dtype), spec);
}

function typedArray(elements: tf.BackendValues, dtype: tf.DataType): TypedArray {
  if (dtype === 'int32') return Int32Array.from(elements as Int32Array);
  if (dtype === 'bool') return Uint8Array.from(elements as Uint8Array);
  if (dtype === 'float32') return Float32Array.from(elements as Float32Array);
  throw new Error(`tensors of type ${dtype} can't be traced`);
}

let backend: TracingBackend | undefined;

/** The tracing backend, registered with tfjs on first use. */
export function tracingBackend(): { name: string; backend: TracingBackend } {
  if (!backend) {
    const made = new TracingBackend();
    backend = made;
    tf.registerBackend(BACKEND, () => made, 0);
    for (const [kernelName, rule] of Object.entries(shapeRules)) {
      tf.registerKernel({
        kernelName,
        backendName: BACKEND,
        kernelFunc: ({ inputs, attrs }) => {
          const values = Object.fromEntries(Object.entries(inputs).map(([name, t]) => [name, made.valueBehind(t as tf.TensorInfo)]));
          const attributes = { ...attrs } as Record<string, unknown>;
          const infos = made.record(kernelName, values, attributes, rule(values, attributes)).map((v) => made.infoOf(v));
          return infos.length === 1 && kernelName !== 'Unpack' && kernelName !== 'SplitV' ? infos[0] : infos;
        },
      });
    }
  }
  return { name: BACKEND, backend };
}
