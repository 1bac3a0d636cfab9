import type { RandomStream } from '../../tensor/random.js';
import type { DecodedPicture } from './read-pictures.js';

/** A crop of a panorama: the direction of its middle and its width are fractions of a full turn. */
interface PanoramaCrop {
  kind: 'panorama';
  picture: DecodedPicture;
  yaw: number;
  pitch: number;
  width: number;
  /** Roll of the camera as a small slope. */
  roll: number;
  mirrored: boolean;
  gain: [number, number, number];
}

/** A colour gradient, with value noise and squares where their amplitudes aren't 0. */
interface Gradient {
  kind: 'gradient';
  from: [number, number, number];
  to: [number, number, number];
  direction: [number, number];
  noise: number;
  /** Cells of the coarsest noise along a side. */
  cells: number;
  squares: number;
  seed: number;
}

/** What lies behind the sprites. */
export type Background = PanoramaCrop | Gradient;

const PANORAMA_SHARE = 0.7;

/** Draws a background: mostly a crop of one of the split's panoramas, else a gradient with or without noise. */
export function drawBackground(random: RandomStream, panoramas: readonly DecodedPicture[], training: boolean): Background {
  const u = (low: number, high: number): number => random.uniform(low, high);
  if (random.uniform() < PANORAMA_SHARE) {
    const gain = u(0.7, 1.2), cast = training ? 0.2 : 0.05;
    return {
      kind: 'panorama', picture: panoramas[random.integer(panoramas.length)], yaw: random.uniform(), pitch: u(-0.05, 0.07), width: u(0.1, 0.25),
      roll: u(-0.12, 0.12), mirrored: random.uniform() < 0.5, gain: [gain * (1 + u(-cast, cast)), gain * (1 + u(-cast, cast)), gain * (1 + u(-cast, cast))],
    };
  }
  const colour = (): [number, number, number] => [u(20, 235), u(20, 235), u(20, 235)];
  const style = random.integer(3);
  return {
    kind: 'gradient', from: colour(), to: colour(), direction: [u(-1, 1), u(-1, 1)],
    noise: style > 0 ? u(10, 60) : 0, cells: u(4, 14), squares: style > 1 ? u(4, 20) : 0, seed: random.uint32(),
  };
}

function paintPanorama(out: Float32Array, size: number, crop: PanoramaCrop): void {
  const { picture: { data, width, height }, yaw, pitch, roll, gain } = crop;
  const step = (crop.width / size) * width, across = crop.mirrored ? -step : step, down = (2 * crop.width / size) * height;
  const offset = size / 2 - 0.5;
  for (let y = 0, at = 0; y < size; y++)
    for (let x = 0; x < size; x++, at += 3) {
      const dx = x - offset + (y - offset) * roll, dy = y - offset - (x - offset) * roll;
      let fx = (yaw * width + dx * across) % width;
      if (fx < 0) fx += width;
      const fy = Math.min(height - 1.001, Math.max(0, (0.5 + pitch * 2) * height + dy * down));
      const X = Math.floor(fx), Y = Math.floor(fy), u = fx - X, v = fy - Y;
      const left = X % width, right = (X + 1) % width;
      const p = (Y * width + left) * 3, q = (Y * width + right) * 3, r = p + width * 3, s = q + width * 3;
      const wp = (1 - u) * (1 - v), wq = u * (1 - v), wr = (1 - u) * v, ws = u * v;
      out[at] = (data[p] * wp + data[q] * wq + data[r] * wr + data[s] * ws) * gain[0];
      out[at + 1] = (data[p + 1] * wp + data[q + 1] * wq + data[r + 1] * wr + data[s + 1] * ws) * gain[1];
      out[at + 2] = (data[p + 2] * wp + data[q + 2] * wq + data[r + 2] * wr + data[s + 2] * ws) * gain[2];
    }
}

/** A number in [0, 1) that belongs to a lattice point. */
function lattice(i: number, j: number, seed: number): number {
  let h = Math.imul(i, 374761393) ^ Math.imul(j, 668265263) ^ seed;
  h = Math.imul(h ^ (h >>> 13), 1274126177);
  return ((h ^ (h >>> 16)) >>> 0) / 4294967296;
}

/** Value noise in [0, 1): lattice numbers joined smoothly. */
function valueNoise(x: number, y: number, seed: number): number {
  const i = Math.floor(x), j = Math.floor(y);
  const u = (x - i) * (x - i) * (3 - 2 * (x - i)), v = (y - j) * (y - j) * (3 - 2 * (y - j));
  return (lattice(i, j, seed) * (1 - u) + lattice(i + 1, j, seed) * u) * (1 - v)
    + (lattice(i, j + 1, seed) * (1 - u) + lattice(i + 1, j + 1, seed) * u) * v;
}

function paintGradient(out: Float32Array, size: number, { from, to, direction, noise, cells, squares, seed }: Gradient): void {
  const scale = cells / size;
  for (let y = 0, at = 0; y < size; y++)
    for (let x = 0; x < size; x++, at += 3) {
      const t = Math.min(1, Math.max(0, ((x + 0.5) / size - 0.5) * direction[0] + ((y + 0.5) / size - 0.5) * direction[1] + 0.5));
      let extra = 0;
      if (noise) {
        const px = (x + 0.5) * scale, py = (y + 0.5) * scale;
        extra = (valueNoise(px, py, seed) * 0.55 + valueNoise(px * 2.1, py * 2.1, seed + 1) * 0.3 + valueNoise(px * 4.3, py * 4.3, seed + 2) * 0.15 - 0.5) * 2 * noise;
      }
      if (squares) extra += (Math.floor(((x + 0.5) / size) * 10) + Math.floor(((y + 0.5) / size) * 10)) & 1 ? squares : -squares;
      for (let c = 0; c < 3; c++) out[at + c] = from[c] * (1 - t) + to[c] * t + extra;
    }
}

/**
 * Paints a background.
 * @param out RGB values [size, size, 3], overwritten; they may leave 0 to 255
 */
export function paintBackground(out: Float32Array, size: number, background: Background): void {
  if (background.kind === 'panorama') paintPanorama(out, size, background);
  else paintGradient(out, size, background);
}
