import { RandomStream } from '../../tensor/random.js';
import { OBJECTS_PER_IMAGE } from '../batches.js';
import { VOC_CLASSES } from '../voc-classes.js';
import { drawLook, type Look } from './look.js';
import { drawBackground, type Background } from './background.js';
import { drawSprite, type Pools } from './pools.js';
import type { MiniVocSplit } from './settings.js';
import type { Sprite } from './sprite.js';

/** A sprite in a scene. Lengths are fractions of the image's side. */
export interface Item extends Look {
  sprite: Sprite;
  /** Index of the instance that it belongs to, or -1 for a distractor. */
  instance: number;
  /** Centre. */
  x: number;
  y: number;
  /** Length of the sprite's longer side. */
  length: number;
}

/** A rectangle of one colour over the scene (cut-out augmentation), in fractions of the side. */
export interface CutOut { x: number; y: number; width: number; height: number; colour: [number, number, number] }

/** Everything that determines an image apart from its size. */
export interface Scene {
  background: Background;
  /** Labelled things; a crowd is one instance of several items. */
  instances: { label: number; crowd: boolean }[];
  /** From back to front. */
  items: Item[];
  cutOuts: CutOut[];
  /** Pixel value = (value - 128) * contrast + 128 + brightness + noise. */
  contrast: number;
  brightness: number;
  /** Amplitude of the noise in pixel values, and its seed. */
  noise: number;
  noiseSeed: number;
  /** Passes of a 3x3 binomial filter. */
  blur: number;
}

/** Number that tells the scenes of a split from those of the others. */
const SPLIT_STREAM: Readonly<Record<MiniVocSplit, number>> = { 'train': 1, 'val': 2, 'test': 3, 'test-unseen': 4 };
/** Stream number added for single sprites. */
const SINGLE_SPRITES = 16;
/** How often an image shows 1 to 6 objects. */
const OBJECT_COUNTS = [0.16, 0.25, 0.23, 0.18, 0.12, 0.06];
const PERSON = VOC_CLASSES.indexOf('person');
const PERSON_SHARE = 0.1;
const CROWD_SHARE = 0.03;
const PLACES_TRIED = 6;

/** Extents of an item that stands upright. */
interface Extent { x: number; y: number; width: number; height: number }

function extentOf(sprite: Sprite, length: number, x: number, y: number): Extent {
  const longer = Math.max(sprite.width, sprite.height);
  return { x, y, width: (sprite.width / longer) * length, height: (sprite.height / longer) * length };
}

/** Share of the smaller extent that the two have in common. */
function overlap(a: Extent, b: Extent): number {
  const w = Math.min(a.x + a.width / 2, b.x + b.width / 2) - Math.max(a.x - a.width / 2, b.x - b.width / 2);
  const h = Math.min(a.y + a.height / 2, b.y + b.height / 2) - Math.max(a.y - a.height / 2, b.y - b.height / 2);
  return w > 0 && h > 0 ? (w * h) / Math.min(a.width * a.height, b.width * b.height) : 0;
}

function drawObjectCount(random: RandomStream): number {
  let at = random.uniform();
  let n = 1;
  for (const share of OBJECT_COUNTS) {
    if (at < share) break;
    at -= share;
    n++;
  }
  return Math.min(OBJECTS_PER_IMAGE, n);
}

/** Draws the settings of the whole image; training images vary more. */
function drawFinish(random: RandomStream, training: boolean): Pick<Scene, 'cutOuts' | 'contrast' | 'brightness' | 'noise' | 'noiseSeed' | 'blur'> {
  const strong = training && random.uniform() < 0.5;
  const cutOuts: CutOut[] = [];
  if (strong && random.uniform() < 0.4)
    for (let n = 1 + random.integer(2); n > 0; n--)
      cutOuts.push({
        x: random.uniform(), y: random.uniform(), width: random.uniform(0.06, 0.2), height: random.uniform(0.06, 0.2),
        colour: [random.uniform(0, 255), random.uniform(0, 255), random.uniform(0, 255)],
      });
  return {
    cutOuts,
    contrast: strong ? random.uniform(0.7, 1.25) : random.uniform(0.9, 1.1),
    brightness: strong ? random.uniform(-24, 24) : random.uniform(-8, 8),
    noise: random.uniform(0, strong ? 16 : 8),
    noiseSeed: random.uint32(),
    blur: random.uniform() < 0.15 ? 1 + random.integer(2) : 0,
  };
}

/**
 * Draws the scene of one image. It depends on the arguments only, and not on the image's size.
 * @param pools what the split may show
 * @param seed seed of the data set
 * @param index number of the image
 */
export function drawScene(pools: Pools, split: MiniVocSplit, seed: number, index: number): Scene {
  const random = new RandomStream(seed, SPLIT_STREAM[split], index);
  const training = split === 'train';
  const count = drawObjectCount(random);
  const distractors = random.integer(4);
  const instances: Scene['instances'] = [];
  const items: Item[] = [];
  const extents: Extent[] = [];
  const place = (sprite: Sprite, length: number, instance: number): void => {
    let best: Extent | undefined;
    let least = Infinity;
    for (let i = 0; i < PLACES_TRIED && least > 0.1; i++) {
      const extent = extentOf(sprite, length, random.uniform(0.1, 0.9), random.uniform(0.12, 0.92));
      const worst = extents.reduce((most, other) => Math.max(most, overlap(extent, other)), 0);
      if (worst < least) [best, least] = [extent, worst];
    }
    if (!best) return;
    extents.push(best);
    items.push({ sprite, instance, x: best.x, y: best.y, length, ...drawLook(random, training) });
  };
  for (let i = 0; i < distractors; i++) place(drawSprite(pools.distractors, random), random.uniform(0.12, 0.36), -1);
  for (let i = 0; i < count; i++) {
    const label = random.uniform() < PERSON_SHARE ? PERSON : random.integer(VOC_CLASSES.length);
    const u = random.uniform(), v = random.uniform();
    const length = Math.min(0.85, 0.2 + 0.55 * u * v + (count < 3 ? 0.18 * random.uniform() : 0));
    instances.push({ label, crowd: false });
    place(drawSprite(pools.classes[label], random), length, instances.length - 1);
  }
  if (count < OBJECTS_PER_IMAGE && random.uniform() < CROWD_SHARE) drawCrowd(pools, random, training, instances, items);
  items.sort((a, b) => a.y + a.length / 2 - (b.y + b.length / 2));
  return { background: drawBackground(random, pools.panoramas, training), instances, items, ...drawFinish(random, training) };
}

/** Adds five to nine small things of one class that overlap, as one instance. */
function drawCrowd(pools: Pools, random: RandomStream, training: boolean, instances: Scene['instances'], items: Item[]): void {
  const label = random.integer(VOC_CLASSES.length);
  instances.push({ label, crowd: true });
  const left = random.uniform(0.1, 0.5), y = random.uniform(0.15, 0.85), length = random.uniform(0.12, 0.18);
  for (let n = 5 + random.integer(5), i = 0; i < n; i++)
    items.push({
      sprite: drawSprite(pools.classes[label], random), instance: instances.length - 1,
      x: left + i * 0.45 * length + random.uniform(-0.02, 0.02), y: y + random.uniform(-0.04, 0.04), length, ...drawLook(random, training),
    });
}

/**
 * Draws a scene of one sprite in the middle, for pre-training a backbone as a classifier.
 * Arguments as of drawScene.
 */
export function drawSingle(pools: Pools, split: MiniVocSplit, seed: number, index: number): Scene {
  const random = new RandomStream(seed, SPLIT_STREAM[split] + SINGLE_SPRITES, index);
  const training = split === 'train';
  const label = random.integer(VOC_CLASSES.length);
  const item: Item = {
    sprite: drawSprite(pools.classes[label], random), instance: 0,
    x: random.uniform(0.4, 0.6), y: random.uniform(0.4, 0.6), length: random.uniform(0.5, 0.98), ...drawLook(random, training),
  };
  return { background: drawBackground(random, pools.panoramas, training), instances: [{ label, crowd: false }], items: [item], ...drawFinish(random, training) };
}
