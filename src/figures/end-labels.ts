/**
 * Moves label heights apart, as little as possible, so that neighbours are `gap` or more apart and all lie in
 * [0, height]; in pixels, the order of the labels is kept. Returns a height for each input, in the input's order.
 */
export function spread(heights: readonly number[], gap: number, height: number): number[] {
  const order = heights.map((_, i) => i).sort((a, b) => heights[a] - heights[b] || a - b);
  const blocks: { members: number[]; centre: number }[] = [];
  const half = (count: number): number => (gap * (count - 1)) / 2;
  for (const i of order) {
    let block = { members: [i], centre: heights[i] };
    for (let last = blocks.at(-1); last !== undefined && last.centre + half(last.members.length) + gap > block.centre - half(block.members.length); last = blocks.at(-1)) {
      blocks.pop();
      const members = [...last.members, ...block.members];
      const wished = members.reduce((sum, member, k) => sum + heights[member] - k * gap, 0) / members.length;
      block = { members, centre: clamp(wished + half(members.length), half(members.length), height - half(members.length)) };
    }
    blocks.push(block);
  }
  const placed = new Array<number>(heights.length);
  for (const { members, centre } of blocks) members.forEach((member, k) => (placed[member] = centre - half(members.length) + k * gap));
  return placed;
}

const clamp = (value: number, low: number, high: number): number => Math.max(low, Math.min(high, value));
