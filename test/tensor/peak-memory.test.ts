import test from 'ava';
import { newNode, newValue, type Graph } from '../../src/tensor/graph.js';
import { peakBytes } from '../../src/tensor/peak-memory.js';

test('by hand: a value counts until its last use; inputs and outputs do not', (t) => {
  const x = newValue({ shape: [100], dtype: 'float32' }, { input: 'x' });
  const f = (shape: number[], inputs: Record<string, typeof x>) => newNode('f', inputs, {}, [{ shape, dtype: 'float32' }]);
  const a = f([10], { x }), b = f([20], { x: a.outputs[0] }), c = f([5], { x: b.outputs[0], y: a.outputs[0] }), d = f([7], { x: c.outputs[0] });
  const graph: Graph = { inputs: new Map([['x', x]]), outputs: new Map([['d', d.outputs[0]]]), nodes: [a, b, c, d] };
  t.is(peakBytes(graph), 4 * (10 + 20 + 5));
  const unused = f([1000], { x });
  t.is(peakBytes({ ...graph, nodes: [a, b, c, unused, d] }), 4 * (5 + 1000));
});
