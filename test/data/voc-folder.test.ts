import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import sharp from 'sharp';
import type { AnnotatedObject } from '../../src/data/dataset.js';
import { openMiniVoc } from '../../src/data/minivoc/minivoc.js';
import { parseVocAnnotation, vocAnnotationXml } from '../../src/data/voc-annotation.js';
import { VOC_CLASSES } from '../../src/data/voc-classes.js';
import { writeVocFolder } from '../../src/data/voc-folder.js';
import { UserError } from '../../src/errors.js';
import { interceptFiles } from '../training/crash.js';

test('by hand: pixels 10 to 19 from the left become xmin 11 and xmax 20', (t) => {
  const xml = vocAnnotationXml({ id: 'a', image: new Uint8Array(0), objects: [{ label: 7, box: [10, 0, 20, 1], difficult: true, truncated: false, occluded: true, crowd: false }] }, 64, VOC_CLASSES, 'MiniVOC');
  t.true(xml.includes('<xmin>11</xmin>') && xml.includes('<ymin>1</ymin>') && xml.includes('<xmax>20</xmax>') && xml.includes('<ymax>1</ymax>'));
  t.true(xml.includes('<name>cat</name>') && xml.includes('<difficult>1</difficult>') && xml.includes('<truncated>0</truncated>'));
});

test('an annotation read back is what was written', (t) => {
  const object = fc.tuple(fc.nat(19), fc.nat(60), fc.nat(60), fc.integer({ min: 1, max: 68 }), fc.integer({ min: 1, max: 68 }), fc.boolean(), fc.boolean(), fc.boolean())
    .map(([label, x, y, w, h, difficult, truncated, occluded]): AnnotatedObject => ({ label, box: [x, y, x + w, y + h], difficult, truncated, occluded, crowd: false }));
  fc.assert(fc.property(fc.array(object, { maxLength: 6 }), fc.string(), (objects, id) => {
    const name = id.trim();
    const read = parseVocAnnotation(vocAnnotationXml({ id: name, image: new Uint8Array(0), objects }, 128, VOC_CLASSES, 'MiniVOC'), 'a.xml');
    t.is(read.filename, `${name}.jpg`);
    t.deepEqual([read.width, read.height, read.depth], [128, 128, 3]);
    t.deepEqual(read.objects.map((o): Omit<AnnotatedObject, 'crowd'> => ({ label: VOC_CLASSES.findIndex((c) => c === o.name), box: [o.xmin - 1, o.ymin - 1, o.xmax, o.ymax], difficult: o.difficult, truncated: o.truncated, occluded: o.occluded })),
      objects.map(({ label, box, difficult, truncated, occluded }) => ({ label, box, difficult, truncated, occluded })));
  }), { numRuns: 100 });
});

test('VOC\'s own files: parts of a person are no objects, flags that are absent are 0, fractions are rounded', (t) => {
  const xml = '<annotation><filename>2007_000027.jpg</filename><size><width>486</width><height>500</height><depth>3</depth></size><object><name>person</name><bndbox><xmin>174.4</xmin><ymin>101</ymin><xmax>349</xmax><ymax>351</ymax></bndbox><part><name>head</name><bndbox><xmin>169</xmin><ymin>104</ymin><xmax>209</xmax><ymax>146</ymax></bndbox></part></object></annotation>';
  t.deepEqual(parseVocAnnotation(xml, 'a.xml').objects, [{ name: 'person', pose: 'Unspecified', truncated: false, occluded: false, difficult: false, xmin: 174, ymin: 101, xmax: 349, ymax: 351 }]);
  t.throws(() => parseVocAnnotation(xml.replace(/<ymax>351<\/ymax>/, ''), 'a.xml'), { instanceOf: UserError, message: /a\.xml: element <ymax> is missing/ });
  t.throws(() => parseVocAnnotation(xml.replace('349', 'wide'), 'a.xml'), { instanceOf: UserError, message: /a\.xml: element <xmax> is no number/ });
});

test('an exported folder holds the images, their annotations and the lists, and is not written over', async (t) => {
  const parent = mkdtempSync(path.join(os.tmpdir(), 'qdetr-voc-'));
  const folder = path.join(parent, 'voc');
  try {
    const dataset = openMiniVoc({ size: 64, split: 'val' });
    await writeVocFolder(dataset, { folder, split: 'val', count: 12 }, () => undefined);
    const ids = readFileSync(path.join(folder, 'ImageSets/Main/val.txt'), 'utf8').trim().split('\n');
    t.deepEqual(ids, Array.from({ length: 12 }, (_, i) => `val-${String(i).padStart(6, '0')}`));
    t.is(readdirSync(path.join(folder, 'ImageSets/Main')).length, 21);
    t.deepEqual(readdirSync(path.join(folder, 'JPEGImages')).sort(), ids.map((id) => `${id}.jpg`));
    for (const [index, id] of ids.entries()) {
      const { image, objects } = dataset.sample(index);
      const read = parseVocAnnotation(readFileSync(path.join(folder, 'Annotations', `${id}.xml`), 'utf8'), id);
      t.deepEqual(read.objects.map(({ name, xmin, ymin, xmax, ymax }) => [name, xmin - 1, ymin - 1, xmax, ymax]), objects.map(({ label, box }) => [VOC_CLASSES[label], ...box]));
      const { data } = await sharp(path.join(folder, 'JPEGImages', `${id}.jpg`)).raw().toBuffer({ resolveWithObject: true });
      const error = image.reduce((sum, value, i) => sum + Math.abs(value - data[i]), 0) / image.length;
      t.true(error < 4, `mean difference ${error}`);
    }
    for (const [label, name] of VOC_CLASSES.entries()) {
      const lines = readFileSync(path.join(folder, 'ImageSets/Main', `${name}_val.txt`), 'utf8').trim().split('\n');
      lines.forEach((line, index) => {
        const found = dataset.sample(index).objects.filter((object) => object.label === label);
        t.regex(line, new RegExp(`^${ids[index]} ${found.length === 0 ? '-1' : found.every(({ difficult }) => difficult) ? ' 0' : ' 1'}$`));
      });
    }
    const before = readdirSync(folder);
    await t.throwsAsync(writeVocFolder(dataset, { folder, split: 'val', count: 1 }, () => undefined), { instanceOf: UserError, message: /is not an empty folder/ });
    t.deepEqual(readdirSync(folder), before);
    mkdirSync(path.join(parent, 'empty'));
    await t.notThrowsAsync(writeVocFolder(dataset, { folder: path.join(parent, 'empty'), split: 'val', count: 1 }, () => undefined));
    writeFileSync(path.join(parent, 'file'), 'x');
    await t.throwsAsync(writeVocFolder(dataset, { folder: path.join(parent, 'file'), split: 'val', count: 1 }, () => undefined), { instanceOf: UserError });
    await t.throwsAsync(writeVocFolder(dataset, { folder: path.join(parent, 'file/voc'), split: 'val', count: 1 }, () => undefined), { instanceOf: UserError, message: /can't be written/ });
  } finally {
    rmSync(parent, { recursive: true });
  }
  t.false(existsSync(parent));
});

test.serial('a full disk, early or late: nothing of the export stays, and repeating it works', async (t) => {
  const parent = mkdtempSync(path.join(os.tmpdir(), 'qdetr-voc-'));
  const dataset = openMiniVoc({ size: 64, split: 'val' });
  const exportTo = (folder: string): Promise<void> => writeVocFolder(dataset, { folder, split: 'val', count: 2 }, () => undefined);
  try {
    for (const full of [0, 3, 20]) {
      const isThere = path.join(parent, `there-${full}`), isNew = path.join(parent, `new-${full}`);
      mkdirSync(isThere);
      for (const folder of [isThere, isNew]) {
        let left = full;
        const end = interceptFiles(({ name }) => {
          if (name === 'writeSync' && left-- <= 0) throw new Error('ENOSPC: no space left on device');
        });
        try {
          await t.throwsAsync(exportTo(folder), { instanceOf: UserError, message: /can't be written \(ENOSPC/ });
        } finally {
          end();
        }
        t.deepEqual(existsSync(folder) && readdirSync(folder), folder === isThere ? [] : false);
        await exportTo(folder);
        t.deepEqual(readdirSync(folder).sort(), ['Annotations', 'ImageSets', 'JPEGImages']);
      }
    }
  } finally {
    rmSync(parent, { recursive: true });
  }
});
