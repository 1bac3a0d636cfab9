import test from 'ava';
import { sha256 } from '../../src/files.js';
import { openBank } from '../../src/data/minivoc/bank.js';
import { drawScene, drawSingle } from '../../src/data/minivoc/scene.js';
import { poolsOf } from '../../src/data/minivoc/pools.js';
import { MINIVOC_SPLITS, type MiniVocSplit } from '../../src/data/minivoc/settings.js';
import type { Sprite } from '../../src/data/minivoc/sprite.js';

const SPLITS = Object.keys(MINIVOC_SPLITS) as MiniVocSplit[];
const bank = openBank();
const groupOf = new Map<Sprite, (typeof bank.groups)[number]>();
for (const group of bank.groups) for (const { sprites } of group.parts) for (const sprite of sprites) groupOf.set(sprite, group);

/** Groups and panoramas that the first scenes of a split show. */
function shownBy(split: MiniVocSplit, scenes: number): { groups: Set<string>; panoramas: Set<unknown> } {
  const pools = poolsOf(bank, split), groups = new Set<string>(), panoramas = new Set<unknown>();
  for (let index = 0; index < scenes; index++)
    for (const { items, background } of [drawScene(pools, split, 2023, index), drawSingle(pools, split, 2023, index)]) {
      for (const { sprite } of items) groups.add(`${groupOf.get(sprite)?.class} ${groupOf.get(sprite)?.group}`);
      if (background.kind === 'panorama') panoramas.add(background.picture);
    }
  return { groups, panoramas };
}

test('scenes of test-unseen show no group that another split shows, and no two splits share a panorama', (t) => {
  const shown = SPLITS.map((split) => ({ split, ...shownBy(split, 400) }));
  const unseen = shown.find(({ split }) => split === 'test-unseen');
  for (const { split, groups } of shown) if (split !== 'test-unseen') t.deepEqual([...groups].filter((group) => unseen?.groups.has(group)), [], split);
  for (const a of shown) for (const b of shown) if (a !== b) t.false([...a.panoramas].some((panorama) => b.panoramas.has(panorama)), `${a.split} and ${b.split}`);
  t.true(shown.every(({ panoramas }) => panoramas.size >= 2));
});

test('train, val and test draw from the same groups; every class has groups of both kinds of split', (t) => {
  const names = (split: MiniVocSplit): string[] => poolsOf(bank, split).classes.flat(2).map(({ group }) => group);
  t.deepEqual(names('val'), names('train'));
  t.deepEqual(names('test'), names('train'));
  t.deepEqual(names('test-unseen').filter((group) => names('train').includes(group)), []);
  for (const split of SPLITS) t.true(poolsOf(bank, split).classes.every((kinds) => kinds.length > 0));
});

test('no group is listed twice, and no picture of an unseen group is also in a seen one', (t) => {
  const keys = bank.groups.map(({ class: name, group }) => `${name} ${group}`);
  t.is(new Set(keys).size, keys.length);
  const pixels = ({ sheet, rectangle: [left, top, width, height] }: Sprite): string => {
    const rows = Array.from({ length: height }, (_, y) => sheet.data.subarray(((top + y) * sheet.width + left) * 4, ((top + y) * sheet.width + left + width) * 4));
    return sha256(Buffer.concat(rows));
  };
  const seen = new Set<string>();
  for (const [sprite, { unseen }] of groupOf) if (!unseen) seen.add(pixels(sprite));
  for (const [sprite, group] of groupOf) if (group.unseen) t.false(seen.has(pixels(sprite)), `${group.class} ${group.group}`);
});

test('no group of a class is also a distractor or of another class', (t) => {
  const classOf = new Map<string, string>();
  for (const { group, class: name } of bank.groups) {
    t.is(classOf.get(group) ?? name, name, group);
    classOf.set(group, name);
  }
});
