/**
 * `npm run bench -- --decoding`: JPEG images of 640x480 decoded, mirrored at random, resized to 1066x800 and put into batches, by this project's loader and by Pillow,
 * torchvision and torch's DataLoader. Each measurement is a process of its own, the two take turns.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import sharp from 'sharp';
import { RandomStream } from '../../src/tensor/random.js';

/** Images a second of a round. */
export interface DecodingRound { ours: number; python?: number }
export interface DecodingMeasurement { workers: number; images: number; batchSize: number; bytesPerImage: number; rounds: DecodingRound[] }

const WIDTH = 640, HEIGHT = 480, FILES = 32, BATCH = 4;
const run = promisify(execFile);

/** Images of smooth colours with noise, about as long as photographs of COCO (160 kB), as a folder of COCO. */
async function writeImages(folder: string): Promise<number> {
  mkdirSync(path.join(folder, 'bench'));
  mkdirSync(path.join(folder, 'annotations'));
  let bytes = 0;
  for (let i = 0; i < FILES; i++) {
    const random = new RandomStream(i, 1), coarse = Uint8Array.from({ length: 20 * 15 * 3 }, () => random.integer(256));
    const smooth = await sharp(coarse, { raw: { width: 20, height: 15, channels: 3 } }).resize(WIDTH, HEIGHT, { kernel: 'cubic' }).raw().toBuffer();
    const jpeg = await sharp(smooth.map((value) => Math.min(255, Math.max(0, value + random.integer(31) - 15))), { raw: { width: WIDTH, height: HEIGHT, channels: 3 } }).jpeg({ quality: 88 }).toBuffer();
    writeFileSync(path.join(folder, 'bench', `${String(i).padStart(4, '0')}.jpg`), jpeg);
    bytes += jpeg.length;
  }
  const images = Array.from({ length: FILES }, (_, id) => ({ id, file_name: `${String(id).padStart(4, '0')}.jpg`, width: WIDTH, height: HEIGHT }));
  const annotations = images.map(({ id }) => ({ id, image_id: id, category_id: 1, bbox: [10, 10, 100, 100], area: 10_000, iscrowd: 0 }));
  writeFileSync(path.join(folder, 'annotations/instances_bench.json'), JSON.stringify({ images, annotations, categories: [{ id: 1, name: 'thing' }] }));
  return bytes / FILES;
}

/**
 * Measures both, in turns. Python is left out where torchvision is not installed.
 * @param images of each measurement, after two batches that do not count
 */
export async function measureDecoding({ rounds, images, workers, tell }: { rounds: number; images: number; workers: number; tell(text: string): void }): Promise<DecodingMeasurement> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'qdetr-decoding-'));
  try {
    const bytesPerImage = await writeImages(folder), args = [folder, ...[images, BATCH, workers].map(String)];
    const hasPython = await run('python3', ['-c', 'import torchvision']).then(() => true, () => false);
    const perSecond = async (command: string, ...words: string[]): Promise<number> => {
      const { stdout } = await run(command, [...words, ...args]), measured = JSON.parse(stdout.trim().split('\n').at(-1)!) as { images: number; seconds: number };
      return measured.images / measured.seconds;
    };
    const measured: DecodingRound[] = [];
    for (let round = 0; round < rounds; round++) {
      tell(`round ${round + 1} of ${rounds}`);
      const ours = (): Promise<number> => perSecond(process.execPath, '--import=tsx', 'test/bench/decoding-child.ts');
      const python = (): Promise<number | undefined> => (hasPython ? perSecond('python3', 'test/bench/decoding.py') : Promise.resolve(undefined));
      if (round % 2) {
        const theirs = await python();
        measured.push({ ours: await ours(), python: theirs });
      } else measured.push({ ours: await ours(), python: await python() });
    }
    return { workers, images, batchSize: BATCH, bytesPerImage, rounds: measured };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The measurement as text. */
export function decodingTable({ workers, images, batchSize, bytesPerImage, rounds }: DecodingMeasurement): string {
  const shown = (value: number | undefined): string => (value === undefined ? '-' : value.toFixed(1)).padStart(10);
  return [
    `${images} JPEG images of ${WIDTH}x${HEIGHT} (${Math.round(bytesPerImage / 1000)} kB) decoded, mirrored at random, resized to 1066x800 and batched by ${batchSize}; ${workers} threads or processes; images a second:`,
    `${'round'.padEnd(8)}${'ours'.padStart(10)}${'Python'.padStart(10)}${'ratio'.padStart(10)}`,
    ...rounds.map(({ ours, python }, i) => `${String(i + 1).padEnd(8)}${shown(ours)}${shown(python)}${python === undefined ? '' : `${(ours / python).toFixed(2)}`.padStart(10)}`),
    ...(rounds[0].python === undefined ? ['Python with torchvision is not installed: nothing to compare with.'] : []),
  ].join('\n');
}
