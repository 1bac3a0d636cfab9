/** Items by group: those of group g are `items[starts[g]] ... items[starts[g + 1] - 1]`. */
export interface Groups {
  starts: Int32Array;
  items: Int32Array;
}

/**
 * Sorts items into groups, keeping their order within each (a stable counting sort).
 * @param groupOf group of each item, 0 to groupCount - 1
 * @param items the items in their order; 0 to groupOf.length - 1 where left out
 */
export function groupInOrder(groupOf: Int32Array, groupCount: number, items: Int32Array = Int32Array.from(groupOf.keys())): Groups {
  const starts = new Int32Array(groupCount + 1);
  for (const item of items) starts[groupOf[item] + 1]++;
  for (let g = 0; g < groupCount; g++) starts[g + 1] += starts[g];
  const next = starts.slice(0, groupCount), grouped = new Int32Array(items.length);
  for (const item of items) grouped[next[groupOf[item]]++] = item;
  return { starts, items: grouped };
}

/** The items of one group. */
export const groupAt = ({ starts, items }: Groups, g: number): Int32Array => items.subarray(starts[g], starts[g + 1]);

/** Detections by falling score; equal scores by image, then in their order (the stable sorts of COCOeval over images by id). */
export function bestFirst({ image, scores }: { image: Int32Array; scores: Float64Array }, imageCount: number): Int32Array {
  const { items } = groupInOrder(image, imageCount);
  const order = Int32Array.from(items.keys()).sort((a, b) => scores[items[b]] - scores[items[a]] || a - b);
  return order.map((i) => items[i]);
}
