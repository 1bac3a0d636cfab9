import type { Item, Scene } from '../../src/data/minivoc/scene.js';
import { Sprite } from '../../src/data/minivoc/sprite.js';

/** A sprite that is a solid rectangle of one colour. */
export function solidSprite(width: number, height: number, [red, green, blue]: readonly number[] = [200, 100, 50]): Sprite {
  const data = new Uint8Array(width * height * 4);
  for (let at = 0; at < data.length; at += 4) data.set([red, green, blue, 255], at);
  return new Sprite({ data, width, height, channels: 4 }, [0, 0, width, height]);
}

/** An item that is neither turned nor coloured; x, y and length are fractions of the image's side. */
export function plainItem(sprite: Sprite, instance: number, x: number, y: number, length: number): Item {
  return { sprite, instance, x, y, length, transform: [1, 0, 0, 1], colour: [1, 0, 0, 0, 1, 0, 0, 0, 1], bias: 0, shading: [0, 0], blur: 0 };
}

/** A scene before a plain grey background, without noise. */
export function plainScene(items: Item[], instances: Scene['instances']): Scene {
  return {
    background: { kind: 'gradient', from: [90, 90, 90], to: [90, 90, 90], direction: [1, 0], noise: 0, cells: 4, squares: 0, seed: 1 },
    items, instances, cutOuts: [], contrast: 1, brightness: 0, noise: 0, noiseSeed: 1, blur: 0,
  };
}
