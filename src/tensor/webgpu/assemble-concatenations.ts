import { newNode, type Graph, type Node } from '../graph.js';

/** A concatenation whose parts lie behind one another in memory: each part is written to its place by the kernel that computes it. */
export const ASSEMBLE = 'Assemble';

/** Concatenations with more parts than this are assembled in memory where that is possible; shorter ones are read through. */
const FEW_PARTS = 4;

/** The graph with long contiguous concatenations turned into assemblies of copies. */
export function assembleConcatenations(graph: Graph): Graph {
  const nodes: Node[] = [];
  for (const node of graph.nodes) {
    const [out] = node.outputs;
    const axis = node.op === 'Concat' ? ((node.attributes.axis as number) + out.shape.length) % out.shape.length : -1;
    if (axis < 0 || node.inputs.length <= FEW_PARTS || out.shape.slice(0, axis).some((d) => d !== 1)) {
      nodes.push(node);
      continue;
    }
    const copies = node.inputs.map((part) => newNode('Identity', { x: part }, {}, [{ shape: part.shape, dtype: part.dtype }]));
    Object.assign(node, { op: ASSEMBLE, inputs: copies.map((c) => c.outputs[0]) });
    nodes.push(...copies, node);
  }
  return { ...graph, nodes };
}
