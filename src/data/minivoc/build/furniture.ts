import { existsSync } from 'node:fs';
import path from 'node:path';
import { UserError } from '../../../errors.js';
import { openZip, type ZipArchive } from './zip.js';

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
  /** Page from which the author offered it, where the library says so. */
  url?: string;
  archive: ZipArchive;
}

/** Authors as a library's licence names them, where its catalogue uses a short form. */
const AUTHORS: Readonly<Record<string, string>> = {
  KatorLegaz: 'Andrew Kator & Jennifer Legaz',
  Scopia: 'Emmanuel Puybaret / eTeks and Scopia Visual Interfaces Systems, s.l.',
};

/** The page that the licence file in a model's folder names. */
function pageOf(archive: ZipArchive, model: string): string | undefined {
  const folder = `${path.posix.dirname(model).replace(/^\//, '')}/`;
  const licence = archive.names.find((name) => name.startsWith(folder) && /licen[cs]e/i.test(name.slice(folder.length)));
  const number = licence ? /blends\/view\/(\d+)/.exec(archive.read(licence)?.toString('latin1') ?? '')?.[1] : undefined;
  return number ? `https://www.blendswap.com/blend/${number}` : undefined;
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
    const archive = openZip(file);
    const fields = new Map<string, string>();
    for (const line of (archive.read('PluginFurnitureCatalog.properties') ?? Buffer.alloc(0)).toString('latin1').split(/\r?\n/)) {
      const match = /^(\w+)#(\d+)=(.*?)\s*$/.exec(line);
      if (match) fields.set(`${match[2]} ${match[1]}`, match[3]);
    }
    for (const [key, model] of fields) {
      const [number, field] = key.split(' ');
      if (field !== 'model') continue;
      const rotation = fields.get(`${number} modelRotation`);
      const id = `${library}/${number}`, url = pageOf(archive, model);
      models.set(id, {
        id, licence, model, archive,
        name: fields.get(`${number} name`) ?? '',
        author: AUTHORS[library] ?? fields.get(`${number} creator`) ?? library,
        ...(url ? { url } : {}),
        ...(rotation ? { rotation: rotation.trim().split(/\s+/).map(Number) } : {}),
      });
    }
  }
  return models;
}
