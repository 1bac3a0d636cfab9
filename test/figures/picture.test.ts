import test from 'ava';
import sharp from 'sharp';
import { pictureGrid, pictureWithBoxes, plainPng, type Picture, type PictureBox } from '../../src/figures/picture.js';

const pixels = async (png: Buffer) => sharp(png).removeAlpha().raw().toBuffer({ resolveWithObject: true });

test('a plain PNG holds the bytes that went in', async (t) => {
  const rgb = Uint8Array.from({ length: 3 * 5 * 3 }, (_, i) => (i * 37) % 256);
  const { data, info } = await pixels(plainPng(rgb, 5, 3));
  t.deepEqual([info.width, info.height, info.channels], [5, 3, 3]);
  t.deepEqual([...data], [...rgb]);
});

test('wrong sizes are refused', (t) => {
  t.throws(() => plainPng(new Uint8Array(10), 2, 2), { instanceOf: RangeError, message: /2x2 has 12 bytes, not 10/ });
});

test('images are enlarged by whole pixels and keep their colours; boxes lie where they should', async (t) => {
  const rgb = new Uint8Array(4 * 4 * 3).fill(255);
  rgb.set([10, 20, 30], 0);
  const { data, info } = await pixels(pictureWithBoxes(rgb, 4, 4, [{ box: [2, 1, 4, 3], colour: '#ff0000' }], 40));
  t.deepEqual([info.width, info.height], [40, 40]);
  const at = (x: number, y: number): number[] => [...data.subarray(3 * (40 * y + x), 3 * (40 * y + x) + 3)];
  t.deepEqual(at(0, 0), [10, 20, 30]);
  t.deepEqual(at(9, 9), [10, 20, 30]);
  t.deepEqual(at(10, 0), [255, 255, 255]);
  t.deepEqual(at(20, 15), [255, 0, 0]); // the left edge of the box, at x 2 * 10
  t.deepEqual(at(30, 20), [255, 255, 255]); // its inside
});

test('labels may hold any character, and the picture is the same each time', (t) => {
  const draw = (): Buffer => pictureWithBoxes(new Uint8Array(48), 4, 4, [{ box: [0, 0, 2, 2], label: 'a < "b" & c' }]);
  t.true(draw().equals(draw()));
});

test('several pictures make a grid with captions', async (t) => {
  const red = { rgb: Uint8Array.from([255, 0, 0]), width: 1, height: 1, caption: 'red' };
  const blue = { rgb: Uint8Array.from([0, 0, 255]), width: 1, height: 1 };
  const { data, info } = await pixels(pictureGrid([red, blue, red], 2, 20));
  t.deepEqual([info.width, info.height], [2 * 20 + 12, 2 * (20 + 24) + 12]);
  const at = (x: number, y: number): number[] => [...data.subarray(3 * (info.width * y + x), 3 * (info.width * y + x) + 3)];
  t.deepEqual([at(5, 5), at(26, 5), at(40, 5), at(5, 60), at(40, 60)], [[255, 0, 0], [255, 255, 255], [0, 0, 255], [255, 0, 0], [255, 255, 255]]);
});

test('boxes may be thin or dashed; a line with a dot at its end lies over them', async (t) => {
  const grey = { rgb: new Uint8Array(4 * 4 * 3).fill(128), width: 4, height: 4 };
  const draw = (picture: Omit<Picture, 'rgb' | 'width' | 'height'>) => pixels(pictureGrid([{ ...grey, ...picture }], 1, 80));
  const box = { box: [1, 1, 3, 3], colour: '#ff0000' } as const;
  const shades = async (boxes: PictureBox[]): Promise<number[]> => {
    const { data } = await draw({ boxes });
    return Array.from({ length: 40 }, (_, y) => data[3 * (80 * (20 + y) + 20)]); // red along the left edge, at x 1 * 20
  };
  t.true((await shades([box])).every((red) => red === 255));
  t.true((await shades([{ ...box, isDashed: true }])).some((red) => red === 128));
  t.true((await shades([{ ...box, thickness: 1 }])).every((red) => red > 128 && red < 255)); // half of the pixel
  const { data } = await draw({ boxes: [box], lines: [{ from: [0.5, 2], to: [3.5, 2], colour: '#0000ff' }] });
  const at = (x: number, y: number): number[] => [...data.subarray(3 * (80 * y + x), 3 * (80 * y + x) + 3)];
  t.deepEqual([at(20, 40), at(70, 43), at(20, 47), at(40, 60)], [[0, 0, 255], [0, 0, 255], [255, 0, 0], [255, 0, 0]]);
});

test('labels keep out of each other\'s way while there is room, and stay within the picture', async (t) => {
  const grey = { rgb: new Uint8Array(8 * 8 * 3).fill(128), width: 8, height: 8 };
  const labelPixels = async (boxes: PictureBox[]): Promise<Record<string, number>> => {
    const { data } = await pixels(pictureGrid([{ ...grey, boxes: boxes.map((box) => ({ ...box, thickness: 0 })) }], 1, 160));
    const count = (red: number, blue: number): number => Array.from({ length: data.length / 3 }, (_, i) => Number(data[3 * i] === red && data[3 * i + 1] === 0 && data[3 * i + 2] === blue)).reduce((a, b) => a + b, 0);
    return { red: count(255, 0), blue: count(0, 255) };
  };
  const red = { box: [2, 2, 6, 6], label: '1', colour: '#ff0000' } as const, blue = { ...red, label: '2', colour: '#0000ff' };
  const alone = await labelPixels([red]), both = await labelPixels([red, blue]);
  t.true(alone.red > 150);
  t.is(both.red, alone.red); // nothing of the first is covered by the second
  t.true(both.blue > 150);
  const many = await labelPixels([...Array.from({ length: 5 }, () => red), blue]);
  t.true(many.blue > 150);
  const corner = await labelPixels([{ ...red, box: [0, 0, 1, 8] }, { ...blue, box: [0, 0, 1, 8] }]);
  t.true(corner.red > 150 && corner.blue > 150);
});
