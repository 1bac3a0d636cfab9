import path from 'node:path';
import test from 'ava';
import { openImageNetFolder } from '../../src/data/imagenet-reader.js';
import { UserError } from '../../src/errors.js';
import { scratchFolder, write } from './readers.js';

const { folder: root, remove } = scratchFolder('imagenet-reader');
test.after.always(remove);
const jpeg = Uint8Array.of(0xff, 0xd8, 0xff, 0xd9); // readers look at the length alone

function imageNet(name: string): string {
  const folder = path.join(root, name);
  for (const file of ['train/n02/n02_9.JPEG', 'train/n02/n02_10.JPEG', 'train/n01/n01_1.JPEG', 'val/v_2.JPEG', 'val/v_1.JPEG']) write(path.join(folder, file), jpeg);
  write(path.join(folder, 'train/n02/notes.txt'), 'no image');
  return folder;
}

test('by hand: classes and images in the order of their names, as in torchvision\'s ImageFolder', (t) => {
  const folder = imageNet('a'), dataset = openImageNetFolder({ folder, split: 'train' });
  t.like(dataset, { name: 'a-train', length: 3, classes: ['n01', 'n02'], broken: [] });
  t.deepEqual([0, 1, 2].map((index) => dataset.entry(index)), [
    { id: 'n01/n01_1', file: path.join(folder, 'train/n01/n01_1.JPEG'), label: 0 }, { id: 'n02/n02_10', file: path.join(folder, 'train/n02/n02_10.JPEG'), label: 1 }, { id: 'n02/n02_9', file: path.join(folder, 'train/n02/n02_9.JPEG'), label: 1 }]);
});

test('flat images get their classes from a list', (t) => {
  const folder = imageNet('flat'), groundTruth = path.join(folder, 'LOC_val_solution.csv');
  write(groundTruth, 'ImageId,PredictionString\nv_2,n01 85 1 499 272\nv_1,n02 1 2 3 4\n');
  const dataset = openImageNetFolder({ folder, split: 'val', groundTruth });
  t.deepEqual([0, 1].map((index) => [dataset.entry(index).id, dataset.entry(index).label]), [['v_1', 1], ['v_2', 0]]);
  t.throws(() => openImageNetFolder({ folder, split: 'val' }), { instanceOf: UserError, message: /val has no images \(\.JPEG\) in folders of their classes/ });
  write(groundTruth, 'ImageId,PredictionString\nv_2,n01 85 1 499 272\n');
  t.throws(() => openImageNetFolder({ folder, split: 'val', groundTruth }), { instanceOf: UserError, message: /says no class of .*train for v_1/ });
  t.deepEqual(openImageNetFolder({ folder, split: 'val', groundTruth, onBroken: 'skip' }).broken.map(({ name }) => name), ['v_1']);
});

test('an empty image is named, and fatal or left out by choice; a missing folder is fatal', (t) => {
  const folder = imageNet('empty');
  write(path.join(folder, 'train/n01/n01_2.JPEG'), '');
  t.throws(() => openImageNetFolder({ folder, split: 'train' }), { instanceOf: UserError, message: /n01_2\.JPEG is empty/ });
  const dataset = openImageNetFolder({ folder, split: 'train', onBroken: 'skip' });
  t.deepEqual([dataset.length, dataset.broken.map(({ name }) => name)], [3, ['n01/n01_2']]);
  t.throws(() => openImageNetFolder({ folder, split: 'tset' }), { instanceOf: UserError, message: /there is no folder .*tset/ });
});
