/** An image mirrored left to right. @param pixels RGB [height, width, 3]; unchanged */
export function mirrorPixels(pixels: Uint8Array, width: number, height: number): Uint8Array {
  const mirrored = new Uint8Array(pixels.length);
  for (let y = 0; y < height; y++) {
    let from = y * width * 3, to = from + (width - 1) * 3;
    for (let x = 0; x < width; x++, from += 3, to -= 3) {
      mirrored[to] = pixels[from];
      mirrored[to + 1] = pixels[from + 1];
      mirrored[to + 2] = pixels[from + 2];
    }
  }
  return mirrored;
}
