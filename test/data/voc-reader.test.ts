import path from 'node:path';
import test from 'ava';
import { imageAnnotations } from '../../src/data/image-annotations.js';
import { joinedDataset } from '../../src/data/joined-dataset.js';
import { openMiniVoc } from '../../src/data/minivoc/minivoc.js';
import { writeVocFolder } from '../../src/data/voc-folder.js';
import { openVocFolder } from '../../src/data/voc-reader.js';
import { UserError } from '../../src/errors.js';
import { scratchFolder, vocXml, write, writeVoc } from './readers.js';

const { folder: root, remove } = scratchFolder('voc-reader');
test.after.always(remove);
const jpeg = Uint8Array.of(0xff, 0xd8, 0xff, 0xd9); // readers look at the length alone
const good = { xml: vocXml(40, 30, [['dog', 1, 1, 40, 30], ['person', 5, 6, 7, 8, 1]]), image: jpeg };

test('by hand: boxes begin at 0, difficult objects are there and not learned', (t) => {
  const folder = path.join(root, 'VOC2007');
  writeVoc(folder, 'trainval', { '000005': good, '000007': { xml: vocXml(40, 30, []), image: jpeg } });
  const dataset = openVocFolder({ folder, split: 'trainval' });
  t.like(dataset, { name: 'VOC2007-trainval', length: 2, objectsPerImage: 1, broken: [] });
  t.is(dataset.classes.length, 20);
  const { objects, ...entry } = dataset.entry(0);
  t.deepEqual(entry, { id: '000005', file: path.join(folder, 'JPEGImages/000005.jpg'), width: 40, height: 30 });
  t.deepEqual(objects.map(({ label, box, difficult, crowd }) => ({ label, box, difficult, crowd })), [
    { label: 11, box: [0, 0, 40, 30], difficult: false, crowd: false }, { label: 14, box: [4, 5, 7, 8], difficult: true, crowd: false }]);
  t.deepEqual(imageAnnotations(dataset).annotations, [
    { id: 1, image_id: 0, category_id: 11, bbox: [0, 0, 40, 30], area: 1200, iscrowd: 0 }, { id: 2, image_id: 0, category_id: 14, bbox: [4, 5, 3, 3], area: 9, iscrowd: 1 }]);
  t.deepEqual(imageAnnotations(dataset, 1).images, [{ id: 0, file_name: '000005.jpg', width: 40, height: 30 }]);
});

test('boxes are clamped to the image; those outside, negative or of no area are left out', (t) => {
  const folder = path.join(root, 'boxes');
  writeVoc(folder, 'val', { a: { xml: vocXml(40, 30, [['cat', -5, 20, 60, 31], ['cat', 41, 1, 50, 10], ['cat', 10, 10, 9, 12], ['cat', 20, 5, 10, 3]]), image: jpeg } });
  t.deepEqual(openVocFolder({ folder, split: 'val' }).entry(0).objects.map(({ box }) => box), [[0, 19, 40, 30]]);
});

const damage: [string, { xml?: string; image?: Uint8Array }, RegExp][] = [
  ['no annotation', { image: jpeg }, /Annotations.bad\.xml can't be read/],
  ['annotation cut off', { xml: good.xml.slice(0, -30), image: jpeg }, /bad\.xml is no whole annotation/],
  ['object cut off', { xml: good.xml.replace('</object>', ''), image: jpeg }, /bad\.xml is no whole annotation/],
  ['no XML', { xml: 'hello', image: jpeg }, /bad\.xml is no whole annotation/],
  ['no box', { xml: good.xml.replace(/<bndbox>.*?<\/bndbox>/, ''), image: jpeg }, /bad\.xml: element <xmin> is missing/],
  ['no size', { xml: good.xml.replace(/<size>.*<\/size>/, ''), image: jpeg }, /bad\.xml: element <size> is missing/],
  ['size of 0', { xml: vocXml(0, 30, []), image: jpeg }, /bad\.xml: the image's size is 0x30/],
  ['word for a number', { xml: good.xml.replace('<xmax>40', '<xmax>forty'), image: jpeg }, /bad\.xml: element <xmax> is no number/],
  ['unknown class', { xml: good.xml.replace('dog', 'unicorn'), image: jpeg }, /bad\.xml: "unicorn" is no class of VOC/],
  ['no image', { xml: good.xml }, /JPEGImages.bad\.jpg can't be read/],
  ['empty image', { xml: good.xml, image: new Uint8Array(0) }, /JPEGImages.bad\.jpg is empty/],
];
for (const [name, bad, message] of damage) test(`${name}: named, and fatal or left out by choice`, (t) => {
  const folder = path.join(root, name);
  writeVoc(folder, 'val', { a: good, bad, b: good });
  t.throws(() => openVocFolder({ folder, split: 'val' }), { instanceOf: UserError, message });
  const told: string[] = [], dataset = openVocFolder({ folder, split: 'val', onBroken: 'skip', told: (reason) => told.push(reason) });
  t.deepEqual([dataset.entry(0).id, dataset.entry(1).id, dataset.length], ['a', 'b', 2]);
  t.deepEqual(dataset.broken.map(({ name: id }) => id), ['bad']);
  t.regex(dataset.broken[0].reason, message);
  t.deepEqual(told, dataset.broken.map(({ reason }) => reason));
});

test('a list that is missing, names an image twice, one outside of the folder, or none', (t) => {
  const folder = path.join(root, 'lists');
  writeVoc(folder, 'val', { a: good });
  t.throws(() => openVocFolder({ folder, split: 'tset' }), { instanceOf: UserError, message: /ImageSets.Main.tset\.txt can't be read.*give a folder of VOC/ });
  write(path.join(folder, 'ImageSets/Main/twice.txt'), 'a\na\n');
  t.throws(() => openVocFolder({ folder, split: 'twice' }), { instanceOf: UserError, message: /twice\.txt names a twice/ });
  write(path.join(folder, 'ImageSets/Main/outside.txt'), '../a\n');
  t.throws(() => openVocFolder({ folder, split: 'outside' }), { instanceOf: UserError, message: /"\.\.\/a" is no name/ });
  write(path.join(folder, 'ImageSets/Main/none.txt'), '\n');
  t.throws(() => openVocFolder({ folder, split: 'none' }), { instanceOf: UserError, message: /none\.txt names no image/ });
  write(path.join(folder, 'ImageSets/Main/dog_val.txt'), 'a  1\r\n');
  t.is(openVocFolder({ folder, split: 'dog_val' }).entry(0).id, 'a', 'lists of a class have a second column');
});

test('joined: one behind the other; an image in both or other classes are refused', (t) => {
  const one = path.join(root, 'joined-7'), two = path.join(root, 'joined-12');
  writeVoc(one, 'trainval', { '000005': good });
  writeVoc(two, 'trainval', { '2008_000002': { ...good, xml: vocXml(40, 30, [['cow', 1, 1, 9, 9], ['cow', 3, 3, 9, 9]]) } });
  const first = openVocFolder({ folder: one, split: 'trainval' }), second = openVocFolder({ folder: two, split: 'trainval' });
  const joined = joinedDataset('voc-07+12-trainval', [first, second]);
  t.like(joined, { name: 'voc-07+12-trainval', length: 2, objectsPerImage: 2 });
  t.deepEqual(joined.entry(1), second.entry(0));
  t.not(joined.dataHash, joinedDataset('voc-07+12-trainval', [second, first]).dataHash);
  t.throws(() => joinedDataset('x', [first, first]), { instanceOf: UserError, message: /image 000005 is in joined-7-trainval and in joined-7-trainval/ });
  t.throws(() => joinedDataset('x', [first, { ...second, classes: ['a'] }]), { instanceOf: UserError, message: /other classes/ });
});

test('the hash follows annotations, lists and lengths of images', (t) => {
  const folder = path.join(root, 'hash'), hash = (): string => openVocFolder({ folder, split: 'val' }).dataHash, seen = new Set<string>();
  const versions: Parameters<typeof writeVoc>[2][] = [{ a: good, b: good }, { b: good, a: good }, { a: good }, { a: { ...good, xml: good.xml.replace('dog', 'cat') } }, { a: { ...good, image: new Uint8Array(9) } }];
  for (const images of versions) {
    writeVoc(folder, 'val', images);
    t.is(hash(), hash());
    seen.add(hash());
  }
  t.is(seen.size, 5);
});

test('MiniVOC exported as VOC is read back to the same boxes', async (t) => {
  const folder = path.join(root, 'minivoc'), minivoc = openMiniVoc({ split: 'val', size: 96 });
  await writeVocFolder(minivoc, { folder, split: 'val', count: 15 }, () => undefined);
  const dataset = openVocFolder({ folder, split: 'val' });
  t.is(dataset.length, 15);
  for (let index = 0; index < 15; index++) t.deepEqual(dataset.entry(index).objects, minivoc.sample(index).objects.map((object) => ({ ...object, crowd: false })));
});
