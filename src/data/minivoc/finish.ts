import type { Scene } from './scene.js';

/** One pass of the 3x3 binomial filter along one direction, borders repeated; `step` is the distance of neighbours in the array. */
function binomial(values: Float32Array, lines: number, lineStep: number, count: number, step: number): void {
  for (let line = 0; line < lines; line++) {
    const start = line * lineStep;
    for (let c = 0; c < 3; c++) {
      let before = values[start + c];
      for (let i = 0, at = start + c; i < count; i++, at += step) {
        const here = values[at], after = i + 1 < count ? values[at + step] : here;
        values[at] = (before + 2 * here + after) / 4;
        before = here;
      }
    }
  }
}

/**
 * Blurs, stretches the contrast, adds noise and rounds.
 * @param values RGB values [size, size, 3]; blurred in place
 * @returns RGB pixels [size, size, 3]
 */
export function finishPixels(values: Float32Array, size: number, { blur, contrast, brightness, noise, noiseSeed }: Pick<Scene, 'blur' | 'contrast' | 'brightness' | 'noise' | 'noiseSeed'>): Uint8Array {
  for (let pass = 0; pass < blur; pass++) {
    binomial(values, size, size * 3, size, 3);
    binomial(values, size, 3, size, size * 3);
  }
  const out = new Uint8Array(values.length);
  const offset = 128.5 - 128 * contrast + brightness, amplitude = noise / 255;
  let state = noiseSeed | 1;
  for (let at = 0; at < values.length; at += 3) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    const shift = offset + (((state >>> 16) & 255) + (state >>> 24) - 255) * amplitude;
    for (let c = 0; c < 3; c++) {
      const value = values[at + c] * contrast + shift;
      out[at + c] = value <= 0 ? 0 : value >= 255 ? 255 : value;
    }
  }
  return out;
}
