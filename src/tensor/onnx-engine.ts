import type { InferenceSession, Tensor as OnnxRuntimeTensor } from 'onnxruntime-node';
import { availableParallelism } from 'node:os';
import { newNode, newValue, type DataType, type Graph, type TypedArray } from './graph.js';
import { lowerToOnnx } from './onnx-lowering.js';
import { sizeOf } from './parameters.js';

/** The parts of onnxruntime that are used; onnxruntime-node and onnxruntime-web share them. */
export interface OnnxRuntime {
  InferenceSession: { create(model: Uint8Array, options: InferenceSession.SessionOptions): Promise<InferenceSession> };
  Tensor: new (type: DataType, data: TypedArray, dims: readonly number[]) => OnnxRuntimeTensor;
  env?: { versions?: Record<string, string | undefined>; wasm?: { numThreads?: number } };
}

/** Options of an onnxruntime session. */
export interface OnnxOptions {
  /** Threads inside of one operation; default: the cores that the process may use. */
  threads?: number;
  /** Prefix of onnxruntime's profile, a JSON file that it writes on dispose. */
  profile?: string;
  /**
   * Whether a session keeps the memory of its intermediate values from run to run; default true. False for large steps, of which several are compiled: two steps of
   * DETR-R50's training at 800 x 800 took 5.9 GB without and 13.6 GB with it, and no more time.
   */
  keepsMemory?: boolean;
}

const blocks = new WeakMap<OnnxRuntime, Promise<number>>();

/**
 * The block of onnxruntime's blocked convolutions on this processor (16 with AVX-512, 8 with AVX): found by computing a small
 * convolution in each and comparing it with the plain one. 1 where there are none.
 */
export function channelBlock(runtime: OnnxRuntime): Promise<number> {
  let block = blocks.get(runtime);
  if (!block) blocks.set(runtime, (block = probeChannelBlock(runtime)));
  return block;
}

async function probeChannelBlock(runtime: OnnxRuntime): Promise<number> {
  const x = Float32Array.from({ length: 16 * 9 }, (_, i) => Math.sin(i)), filter = Float32Array.from({ length: 16 * 16 * 9 }, (_, i) => Math.cos(i * 7));
  const convolve = async (block: number): Promise<Float32Array> => {
    const inputs = { x: newValue({ shape: [1, 16, 3, 3], dtype: 'float32' }, { input: 'x' }), filter: newValue({ shape: [16, 16, 3, 3], dtype: 'float32' }, { input: 'filter' }) };
    const node = newNode('OnnxConv', inputs, { strides: [1, 1], pads: [1, 1, 1, 1], kernel: [3, 3] }, [{ shape: [1, 16, 3, 3], dtype: 'float32' }]);
    const { model } = lowerToOnnx({ inputs: new Map(Object.entries(inputs)), outputs: new Map([['y', node.outputs[0]]]), nodes: [node] }, block);
    const session = await runtime.InferenceSession.create(model, { executionProviders: ['cpu'], intraOpNumThreads: 1, logSeverityLevel: 4 });
    const { y } = await session.run({ x: new runtime.Tensor('float32', x, [1, 16, 3, 3]), filter: new runtime.Tensor('float32', filter, [16, 16, 3, 3]) });
    await session.release();
    return y.data as Float32Array;
  };
  const wanted = await convolve(1);
  for (const block of [16, 8]) {
    try {
      const got = await convolve(block);
      if (got.every((v, i) => Math.abs(v - wanted[i]) < 1e-4)) return block;
    } catch {
      // this build of onnxruntime has no blocked convolutions
    }
  }
  return 1;
}

/** One ONNX model in a session, with its inputs and outputs in buffers that are made once. */
export class OnnxProgram {
  readonly nodes: number;
  readonly bytes: number;

  private constructor(private readonly runtime: OnnxRuntime, private readonly session: InferenceSession, readonly graph: Graph, counts: { nodes: number; bytes: number }, private readonly profiled: boolean) {
    this.nodes = counts.nodes;
    this.bytes = counts.bytes;
  }

  static async create(runtime: OnnxRuntime, traced: Graph, options: OnnxOptions = {}): Promise<OnnxProgram> {
    const { model, graph, nodes } = lowerToOnnx(traced, await channelBlock(runtime));
    const session = await runtime.InferenceSession.create(model, {
      executionProviders: ['cpu'],
      intraOpNumThreads: options.threads ?? availableParallelism(),
      interOpNumThreads: 1,
      executionMode: 'sequential',
      enableCpuMemArena: options.keepsMemory ?? true,
      graphOptimizationLevel: 'all',
      logSeverityLevel: 3,
      extra: { session: { disable_quant_qdq: '1' } }, // its integer products reject a scale for each head, and round otherwise than the eager ones
      ...(options.profile ? { enableProfiling: true, profileFilePrefix: options.profile } : {}),
    });
    return new OnnxProgram(runtime, session, graph, { nodes, bytes: model.length }, Boolean(options.profile));
  }

  /** A tensor over existing memory: nothing is copied. */
  tensor(dtype: DataType, data: TypedArray, shape: readonly number[]): OnnxRuntimeTensor {
    return new this.runtime.Tensor(dtype, data, shape);
  }

  /** Memory for one output. */
  allocate(output: string): OnnxRuntimeTensor {
    const value = this.graph.outputs.get(output);
    if (!value) throw new Error(`the step has no output ${output}`);
    const n = sizeOf(value.shape);
    return this.tensor(value.dtype, value.dtype === 'float32' ? new Float32Array(n) : value.dtype === 'int32' ? new Int32Array(n) : new Uint8Array(n), value.shape);
  }

  /** Runs once; `fetches` are tensors that the outputs are written into (onnxruntime-web leaves those as they are: its outputs are copied). */
  async run(feeds: Record<string, OnnxRuntimeTensor>, fetches: Record<string, OnnxRuntimeTensor>): Promise<void> {
    if (this.runtime.env?.versions?.web === undefined) {
      await this.session.run(feeds, fetches);
      return;
    }
    const outputs = await this.session.run(feeds);
    for (const [name, t] of Object.entries(fetches)) (t.data as Float32Array).set(outputs[name].data as Float32Array);
  }

  async dispose(): Promise<void> {
    if (this.profiled) this.session.endProfiling();
    await this.session.release();
  }
}
