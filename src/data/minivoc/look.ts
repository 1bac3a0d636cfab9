import type { RandomStream } from '../../tensor/random.js';

/** How a sprite is turned, stretched and coloured. */
export interface Look {
  /** Row-major 2x2 matrix: what becomes of a sprite of length 1. */
  transform: [number, number, number, number];
  /** Row-major 3x3 matrix on RGB. */
  colour: number[];
  /** Added to RGB (0 to 255). */
  bias: number;
  /** Change of brightness from one side of the sprite to the other, in x and in y. */
  shading: [number, number];
  /** Halvings of the sprite's resolution, to blur it. */
  blur: number;
}

/**
 * Cosine and sine of an angle given by t = tan(angle / 2). Rational on purpose: the pixels of an image may not depend on how an
 * engine rounds Math.cos.
 */
function rotation(t: number): [number, number] {
  return [(1 - t * t) / (1 + t * t), (2 * t) / (1 + t * t)];
}

/** Row-major 3x3 matrix that turns colours about the grey axis and scales their saturation. */
function colourMatrix(t: number, saturation: number, gain: readonly [number, number, number]): number[] {
  const [cos, sin] = rotation(t);
  const same = (1 - saturation * cos) / 3, s = (saturation * sin) / Math.sqrt(3);
  const hue = [
    same + saturation * cos, same - s, same + s,
    same + s, same + saturation * cos, same - s,
    same - s, same + s, same + saturation * cos,
  ];
  return hue.map((value, i) => value * gain[Math.floor(i / 3)]);
}

/**
 * Draws a look. Half of the sprites of training images are changed strongly (hue, saturation, brightness, aspect, shear, blur), so
 * that shape counts for more than colour; the rest, and all of the other splits, only mildly.
 */
export function drawLook(random: RandomStream, training: boolean): Look {
  const strong = training && random.uniform() < 0.5;
  const spread = (mild: number, much: number): number => (random.uniform() * 2 - 1) * (strong ? much : mild);
  const [cos, sin] = rotation((random.uniform() + random.uniform() - 1) * (strong ? 0.3 : 0.18));
  const aspect = 1 + spread(0.1, 0.25), shear = spread(0.04, 0.2), flip = random.uniform() < 0.5 ? -1 : 1;
  const sx = aspect * flip, sy = 1 / aspect;
  const brightness = 1 + spread(0.2, 0.4);
  const gain: [number, number, number] = [brightness + spread(0.08, 0.15), brightness + spread(0.08, 0.15), brightness + spread(0.08, 0.15)];
  return {
    transform: [cos * sx, (cos * shear - sin) * sy, sin * sx, (sin * shear + cos) * sy],
    colour: colourMatrix(spread(0.05, 0.6), 1 + spread(0.15, 0.6), gain),
    bias: spread(14, 30),
    shading: [spread(0.15, 0.4), spread(0.15, 0.4)],
    blur: random.uniform() < (strong ? 0.25 : 0.1) ? 1 : 0,
  };
}
