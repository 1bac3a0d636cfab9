import { existsSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import sharp from 'sharp';
import { UserError } from '../../../errors.js';
import { sha256, writeFileAtomic } from '../../../files.js';
import { VOC_CLASSES } from '../../voc-classes.js';
import { BANK_FOLDER, bankIndexSchema, type BankIndex, type SpriteGroup } from '../bank-format.js';
import { EMOJI_VENDORS, openEmoji } from './emoji.js';
import { readFurniture, type FurnitureModel } from './furniture.js';
import { loadMesh } from './obj-model.js';
import { readPanorama } from './panorama.js';
import { noticeText } from './notice.js';
import { renderMesh, type Picture, type View } from './render-mesh.js';
import { cropPicture, packSheet, SPRITE_SIDE, trimSprite } from './sheet.js';
import { readSpriteList, SPRITE_LIST, type ModelEntry } from './sprite-list.js';

/**
 * Panoramas and the only split that shows each. Left out because things of VOC's classes stand in them without a label: lobby, lab,
 * workshop, venice, sunset (benches, boats) and esplanade (people, cars, screens).
 */
const PANORAMAS: Readonly<Record<string, string>> = {
  apartment: 'train', dawn: 'train', forest: 'train', hall: 'train', night: 'train', sky: 'train',
  city: 'val', studio: 'val', park: 'test', warehouse: 'test', bridge: 'test-unseen', sunrise: 'test-unseen',
};
/** Views aimed at for each class of 3D models; few models get more views each. */
const VIEWS_PER_CLASS = 88;
const LIGHTS: readonly View['light'][] = [[0.4, 0.8, 0.45], [-0.5, 0.7, 0.5], [0.1, 0.6, 0.8], [0.8, 0.45, 0.35]];
const FURNITURE_FOLDERS = ['', 'furniture', 'deb/usr/share/sweethome3d/furniture', 'usr/share/sweethome3d/furniture'];

interface Part { source: string; licence: string; author: string; url?: string; pictures: Picture[] }
interface Group extends Omit<SpriteGroup, 'parts'> { parts: Part[] }

/** Views of one model: azimuths evenly spread, elevations and lights in turn. */
function viewsOf({ azimuth, elevation }: ModelEntry, count: number): View[] {
  const [low, high] = elevation ?? [5, 40];
  return Array.from({ length: count }, (_, i) => {
    const turn = (i + 0.37) / count;
    const degrees = azimuth ? azimuth[0] + (2 * turn - 1) * azimuth[1] : turn * 360;
    return { azimuth: (degrees * Math.PI) / 180, elevation: ((low + ((high - low) * ((i * 5) % 7)) / 6) * Math.PI) / 180, light: LIGHTS[i % LIGHTS.length] };
  });
}

async function renderModel(entry: ModelEntry, models: Map<string, FurnitureModel>, count: number): Promise<Part> {
  const model = models.get(entry.group);
  if (!model) throw new UserError(`${SPRITE_LIST}: there is no model ${entry.group} in the catalogues: correct the group`);
  const mesh = await loadMesh(model);
  const pictures: Picture[] = [];
  for (const view of viewsOf(entry, count)) {
    const sprite = await trimSprite(renderMesh(mesh, SPRITE_SIDE + 16, view));
    if (sprite) pictures.push(sprite);
  }
  return { source: 'sweethome3d-furniture', licence: model.licence, author: model.author, ...(model.url ? { url: model.url } : {}), pictures };
}

/** Folder of the .sh3f libraries under the folder of sources. */
function furnitureFolder(sources: string): string {
  const found = FURNITURE_FOLDERS.map((folder) => path.join(sources, folder)).find((folder) => existsSync(path.join(folder, 'Scopia.sh3f')));
  if (!found) throw new UserError(`${sources} holds no Scopia.sh3f: in it, apt-get download sweethome3d-furniture=1.8-1 and dpkg-deb -x sweethome3d-furniture_1.8-1_all.deb deb`);
  return found;
}

/** All groups of one class with their pictures. */
async function groupsOf(name: string, sources: string, models: Map<string, FurnitureModel>): Promise<Group[]> {
  const { emoji, models: entries } = readSpriteList().classes[name];
  const readers = EMOJI_VENDORS.map((vendor) => ({ vendor, read: openEmoji(vendor, sources) }));
  const groups: Group[] = [];
  for (const entry of emoji) {
    const parts: Part[] = [];
    for (const { vendor, read } of readers) {
      if (entry.except?.includes(vendor.name)) continue;
      const pictures: Picture[] = [];
      for (const codePoints of [entry.group, ...(entry.variants ?? [])]) {
        const picture = await read(codePoints);
        const crop = entry.crop?.[vendor.name];
        const sprite = picture && (await trimSprite(crop ? cropPicture(picture, crop) : picture));
        if (sprite && !pictures.some((other) => other.data.equals(sprite.data))) pictures.push(sprite);
      }
      if (pictures.length) parts.push({ source: vendor.name, licence: vendor.licence, author: vendor.author, pictures });
    }
    if (!parts.length) throw new UserError(`${SPRITE_LIST}: no vendor draws emoji ${entry.group}: correct the group`);
    groups.push({ class: name, group: entry.group, name: entry.name, unseen: entry.unseen ?? false, parts });
  }
  const views = name === 'distractor' ? 3 : Math.min(16, Math.max(3, Math.round(VIEWS_PER_CLASS / entries.length)));
  for (const entry of entries)
    groups.push({ class: name, group: entry.group, name: entry.name, unseen: entry.unseen ?? false, parts: [await renderModel(entry, models, views)] });
  return groups;
}

/**
 * Builds the sprite bank from the packages it is drawn from and writes it to data-manifests/minivoc/bank.
 * @param sources folder with node_modules (emoji, panoramas, three) and the unpacked furniture package
 * @param log called with a line for each class
 * @throws UserError when a source or a listed id is missing
 */
export async function buildBank(sources: string, log: (line: string) => void): Promise<BankIndex> {
  const models = readFurniture(furnitureFolder(sources));
  const index: BankIndex = { schemaVersion: 1, files: {}, groups: [] as never, backgrounds: [] as never };
  const contents = new Map<string, Buffer>();
  const keep = (file: string, bytes: Buffer, width: number, height: number): void => {
    contents.set(file, bytes);
    index.files[file] = { sha256: sha256(bytes), bytes: bytes.length, width, height };
  };
  for (const name of [...VOC_CLASSES, 'distractor']) {
    const groups = await groupsOf(name, sources, models);
    const pictures = groups.flatMap(({ parts }) => parts.flatMap((part) => part.pictures));
    const sheet = `${name}.webp`;
    const { file, width, height, rectangles } = await packSheet(pictures);
    keep(sheet, file, width, height);
    let next = 0;
    for (const group of groups)
      index.groups.push({
        class: group.class, group: group.group, name: group.name, unseen: group.unseen,
        parts: group.parts.map(({ pictures: own, ...part }) => ({ ...part, sheet, rectangles: own.map(() => rectangles[next++]) as SpriteGroup['parts'][number]['rectangles'] })) as SpriteGroup['parts'],
      });
    log(`${name}: ${groups.length} groups, ${pictures.length} sprites, ${(file.length / 1024).toFixed(0)} KiB`);
  }
  for (const [name, split] of Object.entries(PANORAMAS)) {
    const { data, width, height } = await readPanorama(sources, name);
    const file = `background-${name}.webp`;
    keep(file, await sharp(data, { raw: { width, height, channels: 3 } }).webp({ quality: 82, effort: 6 }).toBuffer(), width, height);
    index.backgrounds.push({ name, split, source: '@pmndrs/assets', licence: 'CC0-1.0', author: 'Poly Haven; packaged by Poimandres', file });
  }
  bankIndexSchema.parse(index);
  for (const [file, bytes] of contents) writeFileAtomic(path.join(BANK_FOLDER, file), bytes);
  const lines = (values: unknown[]): string => values.map((value) => `    ${JSON.stringify(value)}`).join(',\n');
  const files = Object.entries(index.files).map(([name, value]) => `    ${JSON.stringify(name)}: ${JSON.stringify(value)}`).join(',\n');
  writeFileAtomic(path.join(BANK_FOLDER, 'index.json'), `{\n  "schemaVersion": 1,\n  "files": {\n${files}\n  },\n  "groups": [\n${lines(index.groups)}\n  ],\n  "backgrounds": [\n${lines(index.backgrounds)}\n  ]\n}\n`);
  writeFileAtomic('NOTICE.md', noticeText(index));
  for (const file of readdirSync(BANK_FOLDER)) if (file.endsWith('.webp') && !contents.has(file)) rmSync(path.join(BANK_FOLDER, file));
  return index;
}
