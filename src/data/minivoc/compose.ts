import type { AnnotatedObject } from '../dataset.js';
import { paintBackground } from './background.js';
import { finishPixels } from './finish.js';
import { paintItem } from './paint-item.js';
import type { Scene } from './scene.js';

/** Version of the way from a scene to pixels and boxes: part of the data hash, raised with every change of what comes out. */
export const COMPOSER_VERSION = 1;
/** Objects that show less than this share of themselves are taken out of the scene. */
export const LEAST_VISIBLE = 0.4;
/** Labelled objects that show less than this share are difficult. */
const DIFFICULT_VISIBLE = 0.55;
/** Labelled objects whose box covers less than this share of the image are difficult. */
const DIFFICULT_AREA = 0.006;
/** Fewest visible pixels of an object. */
const LEAST_PIXELS = 12;

/** An image, which instance each of its pixels belongs to (-1: none), and its objects in the order of the instances. */
export interface Composition { image: Uint8Array; instances: Int8Array; objects: AnnotatedObject[] }

/** What is seen of an instance: box of the visible pixels, how many they are, and how many there would be without border and others. */
interface Visible { left: number; top: number; right: number; bottom: number; pixels: number; whole: number; inside: number }

let scratch = new Float32Array(0);

function measure(instances: Int8Array, size: number, visible: Visible[]): void {
  for (let y = 0, at = 0; y < size; y++)
    for (let x = 0; x < size; x++, at++) {
      const instance = instances[at];
      if (instance < 0) continue;
      const seen = visible[instance];
      if (x < seen.left) seen.left = x;
      if (x > seen.right) seen.right = x;
      if (y < seen.top) seen.top = y;
      seen.bottom = y;
      seen.pixels++;
    }
}

/** Paints background, items and cut-outs; says what is seen of each instance. */
function paint(scene: Scene, size: number, pixels: Float32Array, instances: Int8Array): Visible[] {
  paintBackground(pixels, size, scene.background);
  instances.fill(-1);
  const visible = scene.instances.map((): Visible => ({ left: size, top: size, right: -1, bottom: -1, pixels: 0, whole: 0, inside: 0 }));
  for (const item of scene.items) {
    const { whole, inside } = paintItem(pixels, instances, size, item);
    if (item.instance >= 0) {
      visible[item.instance].whole += whole;
      visible[item.instance].inside += inside;
    }
  }
  for (const { x, y, width, height, colour } of scene.cutOuts) {
    const left = Math.floor(x * size), right = Math.min(size, Math.floor((x + width) * size)), bottom = Math.min(size, Math.floor((y + height) * size));
    for (let row = Math.floor(y * size); row < bottom; row++) {
      instances.fill(-1, row * size + left, row * size + right);
      for (let at = (row * size + left) * 3; at < (row * size + right) * 3; at += 3) pixels.set(colour, at);
    }
  }
  measure(instances, size, visible);
  return visible;
}

const isShown = ({ pixels, whole }: Visible, crowd: boolean): boolean => pixels >= LEAST_PIXELS && (crowd || pixels >= LEAST_VISIBLE * whole);

/**
 * Composes an image. Whatever shows less than LEAST_VISIBLE of itself is taken out and the rest painted again, so that no
 * recognizable object goes without a label. Boxes enclose the visible pixels exactly (those that the object covers by more than 3/8
 * and nothing hides).
 * @param scene what to show
 * @param size side of the image in pixels
 */
export function compose(scene: Scene, size: number): Composition {
  if (scratch.length !== size * size * 3) scratch = new Float32Array(size * size * 3);
  const instances = new Int8Array(size * size);
  let shown = scene;
  let visible = paint(shown, size, scratch, instances);
  while (!visible.every((seen, i) => isShown(seen, shown.instances[i].crowd))) {
    const kept = shown.instances.map((_, i) => i).filter((i) => isShown(visible[i], shown.instances[i].crowd));
    shown = {
      ...shown,
      instances: kept.map((i) => shown.instances[i]),
      items: shown.items.flatMap((item) => (item.instance < 0 ? [item] : kept.includes(item.instance) ? [{ ...item, instance: kept.indexOf(item.instance) }] : [])),
    };
    visible = paint(shown, size, scratch, instances);
  }
  const objects = visible.map(({ left, top, right, bottom, pixels, whole, inside }, i): AnnotatedObject => {
    const { label, crowd } = shown.instances[i];
    const box: AnnotatedObject['box'] = [left, top, right + 1, bottom + 1];
    const share = pixels / whole;
    return {
      label, box, crowd,
      truncated: share < 0.95,
      occluded: pixels < 0.9 * inside,
      difficult: crowd || share < DIFFICULT_VISIBLE || (box[2] - box[0]) * (box[3] - box[1]) < DIFFICULT_AREA * size * size,
    };
  });
  return { image: finishPixels(scratch, size, shown), instances, objects };
}
