/**
 * DETR's sine position encoding of a full image (`PositionEmbeddingSine`, normalize=True, scale 2 pi, temperature 10000):
 * the first half of the channels encodes y, the second x; sines and cosines alternate.
 * @param height rows of the feature map
 * @param width columns of the feature map
 * @param channels C, a multiple of 4
 * @returns [height * width, C], row-major
 */
export function sinePositions(height: number, width: number, channels: number): Float32Array {
  const half = channels / 2, scale = 2 * Math.PI, temperature = 10_000;
  const encoding = new Float32Array(height * width * channels);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const at = (row * width + column) * channels;
      const y = ((row + 1) / (height + 1e-6)) * scale, x = ((column + 1) / (width + 1e-6)) * scale;
      for (let i = 0; i < half; i++) {
        const wave = i % 2 === 0 ? Math.sin : Math.cos;
        const wavelength = temperature ** ((2 * Math.floor(i / 2)) / half);
        encoding[at + i] = wave(y / wavelength);
        encoding[at + half + i] = wave(x / wavelength);
      }
    }
  }
  return encoding;
}
