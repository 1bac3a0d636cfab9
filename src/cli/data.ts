import path from 'node:path';
import type { Command } from 'commander';
import { counted } from '../counted.js';
import { UserError } from '../errors.js';
import { writeFileAtomic } from '../files.js';
import { VOC_CLASSES } from '../data/voc-classes.js';
import { writeCocoFolder } from '../data/coco-folder.js';
import { writeVocFolder } from '../data/voc-folder.js';
import { openBank, readBankFiles } from '../data/minivoc/bank.js';
import { imageSheet, spriteSheet } from '../data/minivoc/contact-sheet.js';
import { openMiniVoc, type MiniVoc } from '../data/minivoc/minivoc.js';
import { MINIVOC_SEED, MINIVOC_SIZES, MINIVOC_SPLITS, type MiniVocSettings } from '../data/minivoc/settings.js';
import { countObjects, countSprites } from '../data/minivoc/statistics.js';
import { addFetch, addList, addStatus, verifyNamed } from './official-commands.js';

/** Options that name a data set, as typed. */
interface DatasetOptions { split: string; size: string; seed: string }

function wholeNumber(option: string, text: string, low: number, high: number): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isInteger(value) || value < low || value > high) throw new UserError(`${option} is "${text}": give a whole number from ${low} to ${high}`);
  return value;
}

function openDataset({ split, size, seed }: DatasetOptions): MiniVoc {
  // openMiniVoc refuses other splits and sizes and says which there are.
  return openMiniVoc({ split, size: Number(size), seed: wholeNumber('--seed', seed, 0, Number.MAX_SAFE_INTEGER) } as MiniVocSettings);
}

const withDataset = (command: Command, split: string): Command => command
  .option('--split <name>', `one of ${Object.keys(MINIVOC_SPLITS).join(', ')}`, split)
  .option('--size <pixels>', `one of ${MINIVOC_SIZES.join(', ')}`, '128')
  .option('--seed <number>', 'seed of the scenes', String(MINIVOC_SEED));

function info(images: number): void {
  const bank = openBank();
  console.log(`MiniVOC: ${bank.groups.length} groups of sprites, bank ${bank.hash}`);
  console.log(`${'class'.padEnd(12)}   groups  sprites   unseen: groups  sprites`);
  for (const count of countSprites(bank))
    console.log(`${count.class.padEnd(12)} ${String(count.groups).padStart(8)} ${String(count.sprites).padStart(8)} ${String(count.unseenGroups).padStart(16)} ${String(count.unseenSprites).padStart(8)}`);
  for (const split of Object.keys(MINIVOC_SPLITS) as (keyof typeof MINIVOC_SPLITS)[]) {
    const dataset = openMiniVoc({ split, size: 128 });
    const used = Math.min(images, dataset.length);
    const { objects, difficult, truncated, occluded, crowds, perClass } = countObjects(dataset, used);
    console.log(`${split}: ${counted(dataset.length, 'image')}; of the first ${used}: ${counted(objects, 'object')} (${(objects / used).toFixed(2)} an image), ${truncated} truncated, ${occluded} occluded, ${difficult} difficult, ${crowds} crowds`);
    console.log(`  ${perClass.map((n, label) => `${VOC_CLASSES[label]} ${n}`).join(', ')}`);
    console.log(`  data hash at 128x128: ${dataset.dataHash}`);
  }
}

/** What a list of data sets says of the embedded one. */
const MINIVOC = `MiniVOC (embedded)
  licence  MIT, Apache-2.0, CC0 and CC BY: NOTICE.md
  ✔ sprites of VOC's classes; images are composed from them: npx qdetr data info`;

/** Adds `qdetr data` with what can be done to the embedded data set, and how the official ones are fetched. */
export function dataCommand(program: Command): void {
  const data = program.command('data').description('data sets: MiniVOC, which is embedded, and the official ones that can be fetched');
  addList(data, 'data', () => [MINIVOC]);
  addFetch(data, 'data');
  addStatus(data, 'data');

  data.command('info').description('MiniVOC: sprites by class, objects by split, data hashes')
    .option('--images <number>', 'images of each split to count objects in', '500')
    .action(({ images }: { images: string }) => info(wholeNumber('--images', images, 1, MINIVOC_SPLITS.train)));

  data.command('verify').description("check every file of MiniVOC's sprite bank against its SHA-256 and decode it, or read what was fetched again and compare it")
    .argument('[names...]', 'fetched sets or files (default: the sprite bank)')
    .option('--data <folder>', 'data folder (default: QDETR_DATA, or else .data)')
    .action(async (names: string[], { data: folder }: { data?: string }) => {
      if (names.length > 0) return verifyNamed(names, 'data', folder);
      const { files, hash } = readBankFiles();
      openBank();
      console.log(`${files.size} files are as the index says; bank ${hash}`);
    });

  withDataset(data.command('export').description('write images of MiniVOC as a folder of VOC (JPEGImages, Annotations, ImageSets) or COCO (annotations, and images by split)'), 'val')
    .option('--format <name>', 'voc or coco', 'voc')
    .option('--count <number>', 'images to write, from the first one (default: all of the split)')
    .requiredOption('--out <folder>', 'a new or empty folder')
    .action(async ({ count, out, format, ...options }: DatasetOptions & { count?: string; out: string; format: string }) => {
      if (format !== 'voc' && format !== 'coco') throw new UserError(`--format is "${format}": choose voc or coco`);
      const dataset = openDataset(options);
      const images = count === undefined ? dataset.length : wholeNumber('--count', count, 1, dataset.length);
      await (format === 'coco' ? writeCocoFolder : writeVocFolder)(dataset, { folder: out, split: options.split, count: images }, console.log);
      console.log(`${counted(images, 'image')} in ${out}`);
    });

  withDataset(data.command('contact-sheet').description('draw sprites of each class, or composed images with their boxes, as PNG'), 'train')
    .option('--class <names...>', 'classes to draw ("distractor" for those without label; default: all)')
    .option('--images <number>', 'draw this many composed images instead of sprites')
    .option('--out <folder>', 'where the PNG files go', path.join('.cache', 'contact-sheets'))
    .action(async ({ class: named, images, out, ...options }: DatasetOptions & { class?: string[]; images?: string; out: string }) => {
      const write = (name: string, png: Buffer): void => {
        writeFileAtomic(path.join(out, `${name}.png`), png);
        console.log(path.join(out, `${name}.png`));
      };
      if (images !== undefined) {
        const dataset = openDataset(options);
        const count = wholeNumber('--images', images, 1, 120);
        write(`images-${options.split}-${options.size}`, await imageSheet(dataset, Array.from({ length: count }, (_, i) => i)));
        return;
      }
      const known = [...VOC_CLASSES, 'distractor'];
      const unknown = named?.find((name) => !known.includes(name));
      if (unknown !== undefined) throw new UserError(`--class names "${unknown}": choose from ${known.join(', ')}`);
      for (const name of named ?? known) write(name, await spriteSheet(openBank(), name));
    });

  data.command('build-sprites').description('build the sprite bank again from the packages it is drawn from (see data-manifests/minivoc/README.md)')
    .requiredOption('--sources <folder>', 'folder with node_modules of the picture packages and the unpacked furniture package')
    .action(async ({ sources }: { sources: string }) => {
      const { buildBank } = await import('../data/minivoc/build/build-bank.js');
      await buildBank(path.resolve(sources), console.log);
    });
}
