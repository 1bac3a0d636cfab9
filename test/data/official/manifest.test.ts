import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { UserError } from '../../../src/errors.js';
import { manifestSchema, type Manifest } from '../../../src/data/official/manifest.js';
import { filesNamed, readManifests } from '../../../src/data/official/read-manifests.js';
import { SCHEMA_FILE, schemaText } from '../../fixtures/make-manifest-schema.js';
import { misfit } from './json-schema.js';

const folder = mkdtempSync(path.join(os.tmpdir(), 'qdetr-manifests-'));
test.after.always(() => rmSync(folder, { recursive: true }));

const files = readdirSync('data-manifests').filter((name) => name.endsWith('.json'));
const raw = (name: string): Record<string, unknown> => JSON.parse(readFileSync(path.join('data-manifests', name), 'utf8')) as Record<string, unknown>;
const schema = JSON.parse(readFileSync(SCHEMA_FILE, 'utf8')) as Record<string, unknown>;

test('the JSON Schema is made from the schema that the program reads manifests with', (t) => {
  t.is(readFileSync(SCHEMA_FILE, 'utf8'), schemaText(), 'npx tsx test/fixtures/make-manifest-schema.ts');
});

test('every manifest is valid by both schemas, and what is wrong by one is wrong by the other', (t) => {
  t.is(files.length, 7);
  for (const name of files) {
    t.is(misfit(schema, raw(name)), undefined, name);
    t.true(manifestSchema.safeParse(raw(name)).success, name);
    t.is(raw(name).$schema, './schema/official.schema.json');
  }
  const values = [null, 0, -1, 1.5, '', 'x', '../x', '/x', 'C:x', [], {}, 'ab'.repeat(32), 'tar'];
  fc.assert(fc.property(fc.constantFrom(...files), fc.infiniteStream(fc.nat(1000)), fc.constantFrom<unknown>(undefined, ...values), (name, steps, value) => {
    const wrong = structuredClone(raw(name));
    change(wrong, steps, value);
    t.is(misfit(schema, wrong) === undefined, manifestSchema.safeParse(wrong).success, JSON.stringify(wrong));
  }), { numRuns: 500 });
});

/** Changes something somewhere in a manifest: undefined takes it away. */
function change(value: Record<string, unknown> | unknown[], steps: IterableIterator<number>, to: unknown): void {
  const keys = Object.keys(value), key = keys[steps.next().value! % keys.length], inside = (value as Record<string, unknown>)[key];
  if (typeof inside === 'object' && inside !== null && Object.keys(inside).length > 0 && steps.next().value! % 4 > 0) return change(inside as Record<string, unknown>, steps, to);
  if (to !== undefined) (value as Record<string, unknown>)[key] = to;
  else if (Array.isArray(value)) value.splice(Number(key), 1);
  else delete value[key];
}

test('every fact says where it is from; nothing is known of what nobody published', (t) => {
  for (const { files: listed } of readManifests()) {
    for (const { name, urls, bytes, publishedSize, digests, sources } of listed) {
      const told = sources.flatMap(({ facts }) => facts);
      const known = [...(urls.length > 0 ? ['urls'] : []), ...(bytes !== null ? ['bytes'] : []), ...(publishedSize !== null ? ['publishedSize'] : []), ...Object.entries(digests).flatMap(([key, value]) => (value === null ? [] : [key]))];
      t.deepEqual(known.filter((fact) => !told.includes(fact)), [], name);
      t.true(bytes === null || publishedSize === null, `${name}: one size is enough`);
    }
  }
});

test("PyTorch's file names carry the first digits of the SHA-256", (t) => {
  let found = 0;
  for (const { files: listed } of readManifests().filter(({ kind }) => kind === 'weights')) {
    for (const { name, file, digests } of listed) {
      const digits = /-([0-9a-f]{8})\.pth$/.exec(file)?.[1];
      if (digits === undefined) continue;
      t.is(digests.sha256?.slice(0, 8) ?? digests.sha256Prefix, digits, name);
      found++;
    }
  }
  t.is(found, 8);
});

test('a name means a set or a file; others are refused with the nearest one', (t) => {
  const names = (...wanted: string[]): string[] => filesNamed(wanted, 'data').map(({ file }) => file.name);
  t.deepEqual(names('voc2007'), ['voc2007-trainval', 'voc2007-test']);
  t.deepEqual(names('voc2007-test', 'voc2007', 'coco2017-val'), ['voc2007-test', 'voc2007-trainval', 'coco2017-val']);
  t.throws(() => names('voc2017'), { instanceOf: UserError, message: /^there is no voc2017 in data-manifests, did you mean (voc2007|coco2017|voc2012)\?$/ });
  t.throws(() => names('cityscapes'), { instanceOf: UserError, message: /: npx qdetr data list says what there is$/ });
  t.throws(() => names('detr-r50'), { instanceOf: UserError, message: 'detr-r50 is a file of weights: npx qdetr weights fetch detr-r50' });
});

test('manifests that contradict themselves or each other are refused', (t) => {
  const good = raw('voc2007.json') as unknown as Manifest;
  const wrong: [(manifest: Manifest) => void, RegExp][] = [
    [(m) => { m.files[0].urls = []; }, /'voc2007-trainval' should have urls, or else say in 'bring' how to get it/],
    [(m) => { m.files[0].bring = 'ask'; }, /should have urls, or else say/],
    [(m) => { m.files[0].digests.sha256Prefix = '01234567'; }, /has a sha256 that does not begin with its sha256Prefix/],
    [(m) => { m.files[1].name = 'voc2007-trainval'; }, /the name 'voc2007-trainval' is also used in .*a\.json/],
    [(m) => { m.files[1].file = m.files[0].file; }, /the file 'VOCtrainval_06-Nov-2007\.tar' is also used/],
    [(m) => { m.files[0].unpack!.to = '../VOC2007'; }, /'files\.0\.unpack\.to' should be the folder that it becomes, below the data folder, but is "\.\.\/VOC2007"/],
    [(m) => { m.files[0].unpack!.to = '/VOC2007'; }, /'files\.0\.unpack\.to' should be/],
    [(m) => { m.files[0].file = 'a/b.tar'; }, /'files\.0\.file' should be/],
    [(m) => { m.files[0].urls = ['file:///etc/passwd']; }, /'files\.0\.urls\.0'/],
    [(m) => { m.files[0].digests.sha256 = 'ABC'; }, /'files\.0\.digests\.sha256' should be the SHA-256 as 64 lower-case hexadecimal digits/],
    [(m) => { delete (m as Partial<Manifest>).licence; }, /'licence' should be its licence in a few words, but is missing/],
  ];
  for (const [spoil, message] of wrong) {
    const manifest = structuredClone(good);
    spoil(manifest);
    writeFileSync(path.join(folder, 'a.json'), JSON.stringify(manifest));
    t.throws(() => readManifests(folder), { instanceOf: UserError, message });
  }
  writeFileSync(path.join(folder, 'a.json'), '{');
  t.throws(() => readManifests(folder), { instanceOf: UserError, message: /a\.json is no JSON .*: git checkout data-manifests brings it back/ });
  t.throws(() => readManifests(path.join(folder, 'none')), { instanceOf: UserError, message: /none can't be read/ });
});
