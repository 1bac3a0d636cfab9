/** Small sets in the shape of the official ones, with manifests that point at a server on this machine. */
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { manifestSchema, type Manifest, type OfficialFile } from '../../../src/data/official/manifest.js';
import { tar, zip } from './archives.js';

const text = (words: string): Buffer => Buffer.from(words);
export const digestOf = (bytes: Uint8Array, name = 'sha256'): string => createHash(name).update(bytes).digest('hex');

/** The files that a server has, by name. */
export const CONTENT = {
  'trainval.tar': tar({ name: 'VOCdevkit/' }, { name: 'VOCdevkit/VOC2007/JPEGImages/000005.jpg', content: Buffer.alloc(40_000, 'jpg') }, { name: 'VOCdevkit/VOC2007/ImageSets/Main/trainval.txt', content: text('000005\n') }),
  'test.tar': tar({ name: 'VOCdevkit/VOC2007/JPEGImages/000001.jpg', content: Buffer.alloc(50_000, 'JPG') }, { name: 'VOCdevkit/VOC2007/ImageSets/Main/test.txt', content: text('000001\n') }, { name: 'VOCdevkit/notes', content: text('x') }),
  'val.zip': zip([{ name: 'val2017/' }, { name: 'val2017/000000000139.jpg', content: Buffer.alloc(60_000, 'coco') }]),
  'train.tar': tar({ name: 'n01440764.tar', content: tar({ name: 'n01440764_10026.JPEG', content: text('tench') }) }),
  'model-01234567.pth': Buffer.alloc(70_000, 'weights'),
  'model.safetensors': Buffer.alloc(80_000, 'tensors'),
};
export type ContentName = keyof typeof CONTENT;

/** A file of a manifest. */
export function officialFile(name: string, file: ContentName, urls: string[], options: Partial<OfficialFile> = {}): OfficialFile {
  const content = CONTENT[file];
  return {
    name, holds: 'something', file, urls, bring: null, bytes: content.length, publishedSize: null,
    digests: { sha256: digestOf(content), sha256Prefix: null, sha384: null, md5: null }, unpack: null, sources: [{ facts: ['urls'], from: 'this test' }], ...options,
  };
}

/** Nothing is known of the content. */
export const UNKNOWN = { sha256: null, sha256Prefix: null, sha384: null, md5: null };

/** Manifests of a test. @param url of the server */
export function testManifests(url: string): Manifest[] {
  const voc = { format: 'tar', from: 'VOCdevkit/VOC2007', to: 'VOCdevkit/VOC2007', inner: null } as const;
  const set = (name: string, kind: Manifest['kind'], title: string, files: OfficialFile[]): Manifest => manifestSchema.parse({ schemaVersion: 1, name, kind, title, homepage: url, licence: 'none', terms: 'None.', files });
  return [
    set('voc2007', 'data', 'VOC', [officialFile('voc2007-trainval', 'trainval.tar', [`${url}/trainval.tar`], { unpack: voc }), officialFile('voc2007-test', 'test.tar', [`${url}/dead`, `${url}/test.tar`], { unpack: voc, digests: { ...UNKNOWN, md5: digestOf(CONTENT['test.tar'], 'md5') } })]),
    set('coco2017', 'data', 'COCO', [officialFile('coco2017-val', 'val.zip', [`${url}/val.zip`], { unpack: { format: 'zip', from: 'val2017', to: 'coco/val2017', inner: null } })]),
    set('imagenet', 'data', 'ImageNet', [officialFile('imagenet-train', 'train.tar', [], { bring: 'log in and download train.tar', unpack: { format: 'tar', from: '', to: 'imagenet/train', inner: 'tar' } })]),
    set('detr', 'weights', 'DETR', [
      officialFile('detr-r50', 'model-01234567.pth', [`${url}/model-01234567.pth`], { digests: { ...UNKNOWN, sha256Prefix: digestOf(CONTENT['model-01234567.pth']).slice(0, 8), sha384: digestOf(CONTENT['model-01234567.pth'], 'sha384') } }),
      officialFile('detr-r50-hf', 'model.safetensors', [`${url}/model.safetensors`], { bytes: null, publishedSize: '80 kB', digests: UNKNOWN }),
    ]),
  ];
}

/** Writes manifests into a folder. */
export function writeManifests(folder: string, manifests: readonly Manifest[]): void {
  mkdirSync(folder, { recursive: true });
  for (const manifest of manifests) writeFileSync(path.join(folder, `${manifest.name}.json`), JSON.stringify(manifest));
}
