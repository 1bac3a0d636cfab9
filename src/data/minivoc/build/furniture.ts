import { existsSync } from 'node:fs';
import path from 'node:path';
import { UserError } from '../../../errors.js';
import { openZip, type ZipReader } from './zip.js';

/** A model of Debian's sweethome3d-furniture: `library/number`, where the number is its place in the library's catalogue. */
export interface FurnitureModel {
  id: string;
  name: string;
  author: string;
  licence: string;
  /** Path of the .obj inside the library. */
  model: string;
  /** Row-major 3x3 rotation of the catalogue, where it has one. */
  rotation?: number[];
  read: ZipReader;
}

/** Libraries of the package and the licence of each (debian/copyright of sweethome3d-furniture 1.8-1). */
export const FURNITURE_LICENCES: Readonly<Record<string, string>> = {
  'KatorLegaz': 'CC-BY-3.0-US',
  'BlendSwap-CC-0': 'CC0-1.0',
  'BlendSwap-CC-BY': 'CC-BY-3.0',
  'Reallusion': 'CC-BY-3.0-US',
  'Scopia': 'CC-BY-3.0',
};

/**
 * Reads the catalogues of all furniture libraries.
 * @param folder folder with the .sh3f files
 * @returns models by id
 * @throws UserError when a library is missing
 */
export function readFurniture(folder: string): Map<string, FurnitureModel> {
  const models = new Map<string, FurnitureModel>();
  for (const [library, licence] of Object.entries(FURNITURE_LICENCES)) {
    const file = path.join(folder, `${library}.sh3f`);
    if (!existsSync(file)) throw new UserError(`${file} is missing: unpack Debian's sweethome3d-furniture 1.8-1 there (dpkg-deb -x)`);
    const read = openZip(file);
    const fields = new Map<string, string>();
    for (const line of (read('PluginFurnitureCatalog.properties') ?? Buffer.alloc(0)).toString('latin1').split(/\r?\n/)) {
      const match = /^(\w+)#(\d+)=(.*?)\s*$/.exec(line);
      if (match) fields.set(`${match[2]} ${match[1]}`, match[3]);
    }
    for (const [key, model] of fields) {
      const [number, field] = key.split(' ');
      if (field !== 'model') continue;
      const rotation = fields.get(`${number} modelRotation`);
      const id = `${library}/${number}`;
      models.set(id, {
        id, licence, model, read,
        name: fields.get(`${number} name`) ?? '',
        author: fields.get(`${number} creator`) ?? library,
        ...(rotation ? { rotation: rotation.trim().split(/\s+/).map(Number) } : {}),
      });
    }
  }
  return models;
}
