import path from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { cocoAnnotations } from '../../src/data/coco-annotations.js';
import { writeCocoFolder } from '../../src/data/coco-folder.js';
import { openCocoFolder } from '../../src/data/coco-reader.js';
import { imageAnnotations, imageNumber } from '../../src/data/image-annotations.js';
import { readJsonRecords } from '../../src/data/json-records.js';
import { openMiniVoc } from '../../src/data/minivoc/minivoc.js';
import { UserError } from '../../src/errors.js';
import { scratchFolder, write } from './readers.js';

const { folder: root, remove } = scratchFolder('coco-reader');
test.after.always(remove);
const jpeg = Uint8Array.of(0xff, 0xd8, 0xff, 0xd9); // readers look at the length alone

const images = [{ id: 139, file_name: '000000000139.jpg', width: 40, height: 30, license: 2 }, { id: 25, file_name: '000000000025.jpg', width: 40, height: 30 }, { id: 30, file_name: '000000000030.jpg', width: 40, height: 30 }];
const annotations = [
  { id: 7, image_id: 139, category_id: 3, bbox: [1.5, 2, 10, 5.5], area: 31.25, iscrowd: 0, segmentation: [[1, 2, 3, 4, 5, 6]] },
  { id: 8, image_id: 139, category_id: 5, bbox: [30, 20, 20, 20], area: 300, iscrowd: 1, segmentation: { counts: [1, 2], size: [30, 40] } },
  { id: 9, image_id: 139, category_id: 3, bbox: [5, 5, 0, 4], area: 0, iscrowd: 0 },
  { id: 2, image_id: 25, category_id: 1, bbox: [-2, -2, 10, 10], area: 80, iscrowd: 0 },
];
const categories = [{ id: 1, name: 'person', supercategory: 'person' }, { id: 3, name: 'car' }, { id: 5, name: 'airplane' }];
const sound = { info: { description: 'a "quoted", [odd] {text} \\' }, licenses: [], images, annotations, categories };

function cocoFolder(name: string, data: unknown, files = images): string {
  const folder = path.join(root, name);
  write(path.join(folder, 'annotations/instances_val.json'), typeof data === 'string' ? data : JSON.stringify(data));
  for (const { file_name } of files) write(path.join(folder, 'val', file_name), jpeg);
  return folder;
}

test('by hand: labels are category ids, images come by id, boxes are clamped, crowds are flagged', (t) => {
  const folder = cocoFolder('coco', sound), dataset = openCocoFolder({ folder, split: 'val' });
  t.like(dataset, { name: 'coco-val', length: 3, objectsPerImage: 1, broken: [] });
  t.deepEqual(dataset.classes, ['N/A', 'person', 'N/A', 'car', 'N/A', 'airplane']);
  t.deepEqual([0, 1, 2].map((index) => dataset.entry(index).id), ['25', '30', '139']);
  t.deepEqual(dataset.entry(0).objects.map(({ label, box, crowd }) => ({ label, box, crowd })), [{ label: 1, box: [0, 0, 8, 8], crowd: false }]);
  t.deepEqual(dataset.entry(1).objects, []);
  t.deepEqual(dataset.entry(2).objects.map(({ label, box, crowd }) => ({ label, box, crowd })), [{ label: 3, box: [1.5, 2, 11.5, 7.5], crowd: false }, { label: 5, box: [30, 20, 40, 30], crowd: true }]);
  t.is(dataset.entry(2).file, path.join(folder, 'val/000000000139.jpg'));
  t.deepEqual(openCocoFolder({ folder, split: 'val', keepEmpty: false }).length, 2);
});

test('ground truth for evaluation is the file\'s own: ids, boxes, areas', (t) => {
  const dataset = openCocoFolder({ folder: cocoFolder('truth', sound), split: 'val' }), truth = imageAnnotations(dataset);
  t.deepEqual(truth.images.map(({ id }) => id), [25, 30, 139]);
  t.is(imageNumber(dataset, 2), 139);
  t.deepEqual(truth.annotations, [annotations[3], ...annotations.slice(0, 3)].map(({ id, image_id, category_id, bbox, area, iscrowd }) => ({ id, image_id, category_id, bbox, area, iscrowd })) as typeof truth.annotations);
  t.deepEqual(truth.categories, [{ id: 1, name: 'person' }, { id: 3, name: 'car' }, { id: 5, name: 'airplane' }]);
});

test('categories from 0, as an export has them', (t) => {
  const dataset = openCocoFolder({ folder: cocoFolder('from-zero', { images, annotations: [{ ...annotations[0], category_id: 0 }], categories: [{ id: 1, name: 'b' }, { id: 0, name: 'a' }] }), split: 'val' });
  t.deepEqual(dataset.classes, ['a', 'b']);
  t.is(dataset.entry(2).objects[0].label, 0);
});

const one = annotations[0];
const damage: [string, object, RegExp, string][] = [
  ['annotation of an unknown image', { annotations: [one, { ...one, id: 77, image_id: 1 }] }, /instances_val\.json: annotation 77 is of image 1, which is not in the list/, 'annotation 77'],
  ['annotation of an unknown category', { annotations: [one, { ...one, id: 77, category_id: 2 }] }, /annotation 77 is of category 2, which is not in the list/, 'annotation 77'],
  ['annotation id used twice', { annotations: [one, one] }, /annotation 7 comes twice/, 'annotation 7'],
  ['annotation without id', { annotations: [one, { ...one, id: undefined }] }, /annotations\[1\] has undefined as 'id'/, 'annotations[1]'],
  ['box of three numbers', { annotations: [one, { ...one, id: 77, bbox: [1, 2, 3] }] }, /annotations\[1\] has \[1,2,3\] as 'bbox', not four numbers/, 'annotations[1]'],
  ['box with a word', { annotations: [one, { ...one, id: 77, bbox: [1, 2, 3, 'x'] }] }, /annotations\[1\] has \[1,2,3,"x"\] as 'bbox'/, 'annotations[1]'],
  ['iscrowd of 2', { annotations: [one, { ...one, id: 77, iscrowd: 2 }] }, /annotations\[1\] has 2 as 'iscrowd'/, 'annotations[1]'],
  ['image id used twice', { images: [...images, images[1]] }, /image 25 comes twice/, 'image 25'],
  ['image outside of the folder', { images: [...images, { ...images[0], id: 1, file_name: '../x.jpg' }] }, /images\[3\] has "\.\.\/x\.jpg" as 'file_name'/, 'images[3]'],
  ['image without size', { images: [...images, { ...images[0], id: 1, width: 0 }] }, /images\[3\] has the size 0x30/, 'images[3]'],
  ['image that is missing', { images: [...images, { ...images[0], id: 1, file_name: 'gone.jpg' }] }, /val.gone\.jpg can't be read/, 'image 1'],
];
for (const [name, change, message, broken] of damage) test(`${name}: named, and fatal or left out by choice`, (t) => {
  const folder = cocoFolder(name, { ...sound, ...change });
  t.throws(() => openCocoFolder({ folder, split: 'val' }), { instanceOf: UserError, message });
  const dataset = openCocoFolder({ folder, split: 'val', onBroken: 'skip' });
  t.deepEqual(dataset.broken.map((item) => item.name), [broken]);
  t.regex(dataset.broken[0].reason, message);
  t.is(dataset.length, 3);
  t.is(dataset.entry(2).objects.filter(({ crowd }) => !crowd).length, 1);
});

test('a broken image takes its annotations with it', (t) => {
  const folder = cocoFolder('lost', sound, images.slice(1)); // 139 is missing
  const dataset = openCocoFolder({ folder, split: 'val', onBroken: 'skip' });
  t.deepEqual(dataset.broken.map(({ name }) => name), ['image 139']);
  t.deepEqual(imageAnnotations(dataset).annotations.map(({ id }) => id), [2]);
});

const text = JSON.stringify(sound);
const malformed: [string, string, RegExp][] = [
  ['empty', '', /is cut off/], ['a list', '[]', /is no JSON \(byte 0 should be \{\)/], ['cut off in a record', text.slice(0, text.indexOf('"bbox"')), /is cut off in annotations\[0\]/], ['cut off at the end', text.slice(0, -1), /is cut off/],
  ['a comma too many', text.replace('}],"annotations"', '},],"annotations"'), /is no JSON in images\[3\]/], ['NaN', text.replace('31.25', 'NaN'), /is no JSON in annotations\[0\]/],
  ['no categories', JSON.stringify({ images, annotations }), /has no list 'categories'/], ['images twice', `{"images":[],${text.slice(1)}`, /has 'images' twice/], ['an object of images', text.replace('"images":[', '"images":{"a":['), /something else than a list as 'images'/],
  ['something behind', `${text} x`, /something follows its end/], ['no colon', text.replace('"images":', '"images"'), /should be :/],
];
for (const [name, data, message] of malformed) test(`JSON, ${name}: refused, whatever is skipped`, (t) => {
  const folder = cocoFolder(`json-${name}`, data);
  for (const onBroken of ['stop', 'skip'] as const) t.throws(() => openCocoFolder({ folder, split: 'val', onBroken }), { instanceOf: UserError, message });
});

test('wrong categories, a missing file and a split without images are refused', (t) => {
  const open = (name: string, change: object): void => void openCocoFolder({ folder: cocoFolder(name, { ...sound, ...change }), split: 'val' });
  t.throws(() => open('same-id', { categories: [...categories, { id: 3, name: 'boat' }] }), { instanceOf: UserError, message: /categories\[3\]: id 3 is already that of car/ });
  t.throws(() => open('no-name', { categories: [{ id: 3 }] }), { instanceOf: UserError, message: /categories\[0\] needs 'id'/ });
  t.throws(() => open('high-id', { categories: [{ id: 1e6, name: 'x' }] }), { instanceOf: UserError, message: /up to 9999/ });
  t.throws(() => open('no-images', { images: [], annotations: [] }), { instanceOf: UserError, message: /has no image that can be used/ });
  t.throws(() => openCocoFolder({ folder: root, split: 'val' }), { instanceOf: UserError, message: /instances_val\.json can't be read.*give a folder of COCO/ });
});

test('records are those of JSON.parse, however the JSON is written', (t) => {
  fc.assert(fc.property(fc.array(fc.jsonValue()), fc.array(fc.jsonValue()), fc.dictionary(fc.string().filter((key) => key !== 'a' && key !== 'b' && key !== '__proto__'), fc.jsonValue()), fc.nat(3), (a, b, rest, indent) => {
    const data = { ...rest, a, b }, read: Record<string, unknown[]> = { a: [], b: [] };
    readJsonRecords(Buffer.from(JSON.stringify(data, null, indent)), { a: (record, index) => (read.a[index] = record), b: (record, index) => (read.b[index] = record) }, 'x.json', 'fix it');
    const parsed = JSON.parse(JSON.stringify(data)) as { a: unknown[]; b: unknown[] };
    t.deepEqual(read, { a: parsed.a, b: parsed.b });
  }), { numRuns: 300 });
});

test('MiniVOC exported in COCO\'s layout is read back to the same boxes and the same ground truth', async (t) => {
  const folder = path.join(root, 'minivoc'), minivoc = openMiniVoc({ split: 'val', size: 96 });
  await writeCocoFolder(minivoc, { folder, split: 'val', count: 15 }, () => undefined);
  const dataset = openCocoFolder({ folder, split: 'val' });
  t.deepEqual([dataset.length, dataset.classes], [15, [...minivoc.classes]]);
  for (let index = 0; index < 15; index++) t.deepEqual(dataset.entry(index).objects.map(({ label, box, crowd }) => [label, box, crowd]), minivoc.sample(index).objects.map(({ label, box, difficult }) => [label, box, difficult]));
  t.deepEqual(imageAnnotations(dataset), cocoAnnotations(minivoc, 15));
  await t.throwsAsync(writeCocoFolder(minivoc, { folder, split: 'val', count: 1 }, () => undefined), { instanceOf: UserError, message: /is not an empty folder/ });
});
