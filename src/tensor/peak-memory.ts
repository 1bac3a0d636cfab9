import type { Graph, Value } from './graph.js';
import { sizeOf } from './parameters.js';

const BYTES = { float32: 4, int32: 4, bool: 1 } as const;

/**
 * Bytes of the intermediate values that a step holds at once when each is freed after its last use, at its worst moment; inputs,
 * outputs and constants are not counted. An engine that reuses memory well comes near it.
 */
export function peakBytes(graph: Graph): number {
  const kept = new Set<Value>(graph.outputs.values());
  const uses = new Map<Value, number>();
  for (const node of graph.nodes) for (const value of node.inputs) uses.set(value, (uses.get(value) ?? 0) + 1);
  const bytesOf = (value: Value): number => (kept.has(value) ? 0 : sizeOf(value.shape) * BYTES[value.dtype]);
  let now = 0, peak = 0;
  for (const { inputs, outputs } of graph.nodes) {
    for (const value of outputs) now += bytesOf(value);
    peak = Math.max(peak, now);
    for (const value of outputs) if (!uses.has(value)) now -= bytesOf(value);
    for (const value of inputs) {
      const left = uses.get(value)! - 1;
      uses.set(value, left);
      if (left === 0 && value.node) now -= bytesOf(value);
    }
  }
  return peak;
}
