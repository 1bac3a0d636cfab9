import type { Mesh } from './obj-model.js';

/** A picture with straight alpha, RGBA. */
export interface Picture { data: Buffer; width: number; height: number }

/** Where a mesh is looked at from, and where its light comes from. Angles in radians. */
export interface View { azimuth: number; elevation: number; light: readonly [number, number, number] }

/** 4x4 ordered dither: which of the subpixels a see-through surface covers. */
const DITHER = [0, 8, 2, 10, 12, 4, 14, 6, 3, 11, 1, 9, 15, 7, 13, 5].map((rank) => (rank + 0.5) / 16);
const CAMERA_DISTANCE = 3.2;
const SUPERSAMPLING = 4;

/**
 * Draws a mesh with a depth buffer, diffuse light and box-filtered supersampling.
 * @param mesh triangles
 * @param size side of the picture in pixels; the mesh's bounding sphere fills it
 * @param view camera and light
 * @returns RGBA picture [size, size, 4], straight alpha
 */
export function renderMesh(mesh: Mesh, size: number, { azimuth, elevation, light }: View): Picture {
  const side = size * SUPERSAMPLING, focal = side * 0.46;
  const depth = new Float32Array(side * side).fill(-Infinity);
  const colour = new Float32Array(side * side * 4);
  const ca = Math.cos(azimuth), sa = Math.sin(azimuth), ce = Math.cos(elevation), se = Math.sin(elevation);
  const turn = (v: readonly number[]): number[] => {
    const x = ca * v[0] + sa * v[2], z = -sa * v[0] + ca * v[2];
    return [x, ce * v[1] - se * z, se * v[1] + ce * z];
  };
  const points = mesh.positions.map((v) => {
    const [x, y, z] = turn(v.map((value, axis) => (value - mesh.centre[axis]) / mesh.radius));
    const scale = (CAMERA_DISTANCE / (CAMERA_DISTANCE - z)) * focal;
    return [side / 2 + x * scale, side / 2 - y * scale, z];
  });
  const normals = mesh.normals.map(turn);
  const lightLength = Math.hypot(...light);

  for (const { corners, material } of mesh.triangles) {
    const [a, b, c] = corners.map((corner) => points[corner[0]]);
    if (!a || !b || !c) continue;
    const area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
    if (Math.abs(area) < 1e-9) continue;
    const left = Math.max(0, Math.floor(Math.min(a[0], b[0], c[0]))), right = Math.min(side - 1, Math.ceil(Math.max(a[0], b[0], c[0])));
    const top = Math.max(0, Math.floor(Math.min(a[1], b[1], c[1]))), bottom = Math.min(side - 1, Math.ceil(Math.max(a[1], b[1], c[1])));
    const [na, nb, nc] = corners.map((corner) => normals[corner[2]]);
    const u = [b[0] - a[0], a[1] - b[1], (b[2] - a[2]) * focal], w = [c[0] - a[0], a[1] - c[1], (c[2] - a[2]) * focal];
    const flat = [u[1] * w[2] - u[2] * w[1], u[2] * w[0] - u[0] * w[2], u[0] * w[1] - u[1] * w[0]];
    const [ta, tb, tc] = corners.map((corner) => mesh.textureCoordinates[corner[1]]);
    const texture = material.texture && ta && tb && tc ? material.texture : undefined;
    for (let y = top; y <= bottom; y++)
      for (let x = left; x <= right; x++) {
        const px = x + 0.5, py = y + 0.5;
        const wa = ((b[0] - px) * (c[1] - py) - (b[1] - py) * (c[0] - px)) / area;
        const wb = ((c[0] - px) * (a[1] - py) - (c[1] - py) * (a[0] - px)) / area;
        const wc = 1 - wa - wb;
        if (wa < 0 || wb < 0 || wc < 0) continue;
        const z = wa * a[2] + wb * b[2] + wc * c[2], at = y * side + x;
        if (z <= depth[at]) continue;
        if (material.opacity < 0.95 && DITHER[(y & 3) * 4 + (x & 3)] >= Math.max(0.15, material.opacity)) continue;
        let [red, green, blue] = material.colour;
        if (texture) {
          const s = wa * ta[0] + wb * tb[0] + wc * tc[0], t = wa * ta[1] + wb * tb[1] + wc * tc[1];
          const tx = Math.min(texture.width - 1, Math.floor((s - Math.floor(s)) * texture.width));
          const ty = Math.min(texture.height - 1, Math.floor((1 - t + Math.floor(t)) * texture.height));
          const texel = (ty * texture.width + tx) * 4;
          if (texture.data[texel + 3] < 128) continue;
          [red, green, blue] = [texture.data[texel] / 255, texture.data[texel + 1] / 255, texture.data[texel + 2] / 255];
        }
        const normal = na ? [0, 1, 2].map((axis) => wa * na[axis] + wb * (nb ?? na)[axis] + wc * (nc ?? na)[axis]) : flat;
        const cosine = (normal[0] * light[0] + normal[1] * light[1] + normal[2] * light[2]) / ((Math.hypot(...normal) || 1) * lightLength);
        const shade = 0.45 + 0.65 * Math.max(0, normal[2] < 0 ? -cosine : cosine);
        depth[at] = z;
        colour[at * 4] = Math.min(1, red * shade);
        colour[at * 4 + 1] = Math.min(1, green * shade);
        colour[at * 4 + 2] = Math.min(1, blue * shade);
        colour[at * 4 + 3] = 1;
      }
  }

  const data = Buffer.alloc(size * size * 4);
  for (let y = 0; y < size; y++)
    for (let x = 0; x < size; x++) {
      const sum = [0, 0, 0, 0];
      for (let dy = 0; dy < SUPERSAMPLING; dy++)
        for (let dx = 0; dx < SUPERSAMPLING; dx++)
          for (let channel = 0; channel < 4; channel++) sum[channel] += colour[((y * SUPERSAMPLING + dy) * side + x * SUPERSAMPLING + dx) * 4 + channel];
      const at = (y * size + x) * 4;
      for (let channel = 0; channel < 3; channel++) data[at + channel] = sum[3] ? Math.round((sum[channel] / sum[3]) * 255) : 0;
      data[at + 3] = Math.round((sum[3] / SUPERSAMPLING ** 2) * 255);
    }
  return { data, width: size, height: size };
}
