import path from 'node:path';
import type { ListedFile } from './read-manifests.js';
import type { OfficialFile } from './manifest.js';

/**
 * The folder for what is downloaded: the one asked for, else the environment variable QDETR_DATA's, else `.data` in the project.
 *
 *     <data>/downloads/        archives as they came, and parts of them (.part)
 *     <data>/weights/          files of weights
 *     <data>/VOCdevkit/, coco/, imagenet/   unpacked data sets
 *     <data>/records/          what was fetched and unpacked when, digests included, and the list of a set's unpacked files
 */
export const dataFolder = (asked?: string): string => asked ?? (process.env.QDETR_DATA || '.data');

/** Where a file is when it has been fetched. */
export const fetchedFile = (data: string, { manifest, file }: ListedFile): string => path.join(data, manifest.kind === 'weights' ? 'weights' : 'downloads', file.file);

/** The folder that an archive is unpacked to, or undefined where it isn't. */
export const unpackedFolder = (data: string, file: OfficialFile): string | undefined => (file.unpack ? path.join(data, ...file.unpack.to.split('/')) : undefined);

/** A file about a fetched file, e.g. `json`, its record. */
export const recordFile = (data: string, name: string, ending: 'json' | 'files' | 'lock'): string => path.join(data, 'records', `${name}.${ending}`);
