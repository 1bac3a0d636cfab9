import path from 'node:path';
import { UserError } from '../../errors.js';
import { readBytes, readText } from '../../files.js';
import { readMatFile } from './mat-file.js';

/**
 * The classes of ImageNet's validation images, from the development kit of ILSVRC 2012: `data/meta.mat` says which class (a WordNet ID) has which number,
 * `data/ILSVRC2012_validation_ground_truth.txt` the number of each image. Read as torchvision does (datasets/imagenet.py, parse_devkit_archive).
 * @param devkit the unpacked kit, e.g. `.data/imagenet/ILSVRC2012_devkit_t12`
 * @returns classes by the name of the image, e.g. `ILSVRC2012_val_00000001` -> `n01751748`
 * @throws UserError when a file is missing or damaged
 */
export function validationClasses(devkit: string): Map<string, string> {
  const meta = path.join(devkit, 'data', 'meta.mat'), truth = path.join(devkit, 'data', 'ILSVRC2012_validation_ground_truth.txt'), remedy = 'npx qdetr data fetch imagenet-devkit --from FILE brings it back';
  const refuse = (what: string): never => { throw new UserError(`${meta} can't be used: ${what}: ${remedy}`); };
  const { synsets } = readMatFile(readBytes(meta, remedy), refuse);
  if (!Array.isArray(synsets)) return refuse("it has no array 'synsets'");
  const classes = new Map<number, string>();
  for (const synset of synsets) {
    if (typeof synset !== 'object') return refuse("'synsets' is no array of structs");
    const { ILSVRC2012_ID: id, WNID: wordNet, num_children: children } = synset;
    if (!Array.isArray(id) || !Array.isArray(children) || typeof wordNet !== 'string') return refuse("a synset has no 'ILSVRC2012_ID', 'WNID' or 'num_children'");
    if (children[0] === 0) classes.set(id[0] as number, wordNet); // the others are classes of classes
  }
  const lines = readText(truth, remedy).trim().split(/\r?\n/);
  return new Map(lines.map((line, i) => {
    const found = classes.get(Number(line));
    if (found === undefined) throw new UserError(`${truth}: line ${i + 1} is ${JSON.stringify(line.slice(0, 20))}, which is no class of meta.mat: ${remedy}`);
    return [`ILSVRC2012_val_${String(i + 1).padStart(8, '0')}`, found];
  }));
}
