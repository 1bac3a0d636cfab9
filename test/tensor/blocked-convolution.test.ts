import { existsSync, readFileSync } from 'node:fs';
import test from 'ava';
import { findEngine } from '../../src/tensor/engine.js';
import { OnnxProgram, channelBlock } from '../../src/tensor/onnx-engine.js';
import { lowerToOnnx } from '../../src/tensor/onnx-lowering.js';
import { tf } from '../../src/tensor/tf.js';
import { trace } from '../../src/tensor/trace.js';

/** Where Linux says what the processor can do. */
const CPU = '/proc/cpuinfo';
const features = new Set(existsSync(CPU) ? (/^flags\s*:(.*)$/m.exec(readFileSync(CPU, 'utf8'))?.[1] ?? '').trim().split(' ') : []);
/** The block that onnxruntime's MLAS takes on such an x86-64 processor (onnxruntime/core/mlas/lib/platform.cpp). */
const expected = features.has('avx512f') ? 16 : features.has('avx2') && features.has('fma') ? 8 : undefined;
const { runtime, reason } = await findEngine('onnxruntime-node');

const missing = !runtime ? `onnxruntime-node does not load: ${reason}` : expected === undefined ? `${CPU} names neither AVX-512 nor AVX2 with FMA` : undefined;
const title = 'a convolution of 32 channels is compiled into the blocked layout of this processor';

if (missing) test.skip(`${title} (${missing})`, (t) => t.pass());
else {
  test.serial(title, async (t) => {
    t.is(await channelBlock(runtime!), expected!);
    const graph = trace(({ x, filter }) => ({ y: tf.conv2d(x as tf.Tensor4D, filter as tf.Tensor4D, 1, 'same') }), {
      x: { shape: [2, 8, 8, 32], dtype: 'float32' }, filter: { shape: [3, 3, 32, 32], dtype: 'float32' },
    });
    const blocked = lowerToOnnx(graph, expected), plain = lowerToOnnx(graph, 1);
    const reordering = (model: Uint8Array): string[] => ['ReorderInput', 'ReorderOutput'].filter((op) => Buffer.from(model).includes(op));
    t.deepEqual(reordering(blocked.model), ['ReorderInput', 'ReorderOutput']); // into the blocks before the convolution and out of them after it
    t.deepEqual(reordering(plain.model), []);
    const program = await OnnxProgram.create(runtime!, graph, { threads: 1 });
    t.deepEqual([program.nodes, program.bytes], [blocked.nodes, blocked.model.length]); // what a session is made of is that model
    t.not(program.nodes, plain.nodes);
    await program.dispose();
  });
}
