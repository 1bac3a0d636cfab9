import path from 'node:path';
import sharp from 'sharp';
import { UserError } from '../../../errors.js';
import type { FurnitureModel } from './furniture.js';

/** A decoded texture, RGBA. */
interface Texture { data: Buffer; width: number; height: number }

/** Diffuse part of a Wavefront material. */
interface Material { colour: number[]; opacity: number; map?: string; texture?: Texture }

/** A corner of a triangle: indices of position, texture coordinate and normal (-1: none). */
type Corner = readonly [number, number, number];

/** A triangle mesh with diffuse materials. */
export interface Mesh {
  positions: number[][];
  textureCoordinates: number[][];
  normals: number[][];
  triangles: { corners: readonly [Corner, Corner, Corner]; material: Material }[];
  centre: number[];
  radius: number;
}

const number = (text: string): number => Number.parseFloat(text.replace(',', '.'));

/** Materials of an .mtl file: newmtl, Kd, d, Tr and map_Kd. */
function readMaterials(text: string): Map<string, Material> {
  const materials = new Map<string, Material>();
  let current: Material = { colour: [0.8, 0.8, 0.8], opacity: 1 };
  for (const raw of text.split(/\r?\n/)) {
    const line = raw.trim();
    const [keyword, ...rest] = line.split(/\s+/);
    if (keyword === 'newmtl') materials.set(line.slice(7).trim(), (current = { colour: [0.8, 0.8, 0.8], opacity: 1 }));
    else if (keyword === 'Kd') current.colour = rest.slice(0, 3).map(number);
    else if (keyword === 'd') current.opacity = number(rest[0]);
    else if (keyword === 'Tr' && current.opacity === 1) current.opacity = 1 - number(rest[0]);
    else if (keyword === 'map_Kd') current.map = rest.filter((part) => !part.startsWith('-')).at(-1);
  }
  return materials;
}

/**
 * Loads a Wavefront OBJ model with its materials and textures.
 * @throws UserError when the archive lacks the model
 */
export async function loadMesh(furniture: FurnitureModel): Promise<Mesh> {
  const { archive, model } = furniture;
  const folder = path.posix.dirname(model);
  const source = archive.read(model);
  if (!source) throw new UserError(`model ${furniture.id} (${model}) is missing in its library: unpack the package again`);
  const mesh: Mesh = { positions: [], textureCoordinates: [], normals: [], triangles: [], centre: [], radius: 1 };
  const { positions, textureCoordinates, normals } = mesh;
  let materials = new Map<string, Material>();
  let material: Material = { colour: [0.7, 0.7, 0.7], opacity: 1 };
  for (const raw of source.toString('latin1').split(/\r?\n/)) {
    const line = raw.trim();
    const [keyword, ...rest] = line.split(/\s+/);
    if (keyword === 'v') positions.push(rest.slice(0, 3).map(number));
    else if (keyword === 'vt') textureCoordinates.push(rest.slice(0, 2).map(number));
    else if (keyword === 'vn') normals.push(rest.slice(0, 3).map(number));
    else if (keyword === 'mtllib') {
      const library = archive.read(path.posix.join(folder, line.slice(7).trim()));
      if (library) materials = new Map([...materials, ...readMaterials(library.toString('latin1'))]);
    } else if (keyword === 'usemtl') material = materials.get(line.slice(7).trim()) ?? material;
    else if (keyword === 'f') {
      const lengths = [positions.length, textureCoordinates.length, normals.length];
      const corners = rest.map((corner): Corner => {
        const index = corner.split('/').map((part, i) => {
          const value = Number.parseInt(part, 10);
          return Number.isNaN(value) ? -1 : value > 0 ? value - 1 : value + lengths[i];
        });
        return [index[0], index[1] ?? -1, index[2] ?? -1];
      });
      for (let i = 2; i < corners.length; i++) mesh.triangles.push({ corners: [corners[0], corners[i - 1], corners[i]], material });
    }
  }
  for (const entry of materials.values()) {
    const bytes = entry.map ? archive.read(path.posix.join(folder, entry.map)) : undefined;
    if (!bytes) continue;
    const { data, info } = await sharp(bytes).ensureAlpha().raw().toBuffer({ resolveWithObject: true }).catch(() => ({ data: undefined, info: undefined }));
    if (data && info) entry.texture = { data, width: info.width, height: info.height };
  }
  const { rotation } = furniture;
  if (rotation) {
    const rotate = (v: number[]): number[] => [0, 3, 6].map((row) => rotation[row] * v[0] + rotation[row + 1] * v[1] + rotation[row + 2] * v[2]);
    mesh.positions = positions.map(rotate);
    mesh.normals = normals.map(rotate);
  }
  const low = [Infinity, Infinity, Infinity], high = [-Infinity, -Infinity, -Infinity];
  for (const { corners } of mesh.triangles)
    for (const [index] of corners)
      for (let axis = 0; axis < 3; axis++) {
        low[axis] = Math.min(low[axis], mesh.positions[index][axis]);
        high[axis] = Math.max(high[axis], mesh.positions[index][axis]);
      }
  mesh.centre = low.map((value, axis) => (value + high[axis]) / 2);
  mesh.radius = Math.hypot(...low.map((value, axis) => high[axis] - value)) / 2;
  return mesh;
}
