import type { Graph } from '../../src/tensor/graph.js';

/** How often each kernel occurs, most frequent first. */
export function kernelCounts(graph: Graph): [string, number][] {
  const counts = new Map<string, number>();
  for (const n of graph.nodes) counts.set(n.op, (counts.get(n.op) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
}
