import { UserError } from '../errors.js';
import { sha256 } from '../files.js';
import type { ImageDataset, ImageEntry } from './image-dataset.js';

/**
 * Several data sets as one, one behind the other: VOC 2007 and 2012 together are what VOC is trained on. COCO's own ground truth (`truth`) is not taken over.
 * @param name what the whole is called: `voc-07+12-trainval`
 * @throws UserError when classes differ, or an image is in two of them
 */
export function joinedDataset(name: string, parts: readonly ImageDataset[]): ImageDataset {
  if (parts.length === 0) throw new UserError(`${name} has no parts: give at least one data set`);
  const [first] = parts, entries: ImageEntry[] = [], owners = new Map<string, string>();
  for (const part of parts) {
    if (part.classes.join() !== first.classes.join()) throw new UserError(`${part.name} has other classes than ${first.name}: join data sets of the same classes`);
    for (let index = 0; index < part.length; index++) {
      const entry = part.entry(index), owner = owners.get(entry.id);
      if (owner !== undefined) throw new UserError(`image ${entry.id} is in ${owner} and in ${part.name}: leave out one of them`);
      owners.set(entry.id, part.name);
      entries.push(entry);
    }
  }
  return {
    name, length: entries.length, classes: first.classes, dataHash: sha256(parts.map(({ dataHash }) => dataHash).join()), objectsPerImage: Math.max(...parts.map(({ objectsPerImage }) => objectsPerImage)),
    broken: parts.flatMap(({ broken }) => broken), entry: (index) => entries[index],
  };
}
