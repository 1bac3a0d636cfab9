/** An image mirrored left to right. @param pixels RGB [height, width, 3]; unchanged */
export function mirrorPixels(pixels: Uint8Array, width: number, height: number): Uint8Array {
  const mirrored = new Uint8Array(pixels.length);
  for (let y = 0; y < height; y++) {
    const row = pixels.subarray(y * width * 3, (y + 1) * width * 3), made = mirrored.subarray(y * width * 3, (y + 1) * width * 3);
    for (let from = 0, to = (width - 1) * 3; to >= 0; from += 3, to -= 3) {
      made[to] = row[from];
      made[to + 1] = row[from + 1];
      made[to + 2] = row[from + 2];
    }
  }
  return mirrored;
}
