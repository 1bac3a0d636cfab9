import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { Command } from 'commander';
import fc from 'fast-check';
import { evaluateCommand, evaluationReport } from '../../src/cli/evaluate.js';
import { detectionColumns, detectionTable, groundTruthTable } from '../../src/detection/evaluation-tables.js';
import { UserError } from '../../src/errors.js';

const folder = mkdtempSync(path.join(tmpdir(), 'evaluate-'));
test.after.always(() => rmSync(folder, { recursive: true }));

let files = 0;
/** Writes text, or an object as JSON, to a new file. */
function file(content: unknown): string {
  const name = path.join(folder, `${files++}.json`);
  writeFileSync(name, typeof content === 'string' ? content : JSON.stringify(content));
  return name;
}

const annotation = { id: 1, image_id: 7, category_id: 3, bbox: [10, 10, 40, 40], area: 1600, iscrowd: 0 };
const truth = { images: [{ id: 7 }, { id: 8 }], categories: [{ id: 3, name: 'cat' }], annotations: [annotation, { ...annotation, id: 2, image_id: 8 }] };
const found = { image_id: 7, category_id: 3, bbox: [10, 10, 40, 40], score: 0.9 };

test('text: the twelve numbers, a dash where there are no such objects', (t) => {
  const text = evaluationReport({ annotations: file(truth), detections: file([found]), voc: true });
  t.regex(text, /^detections: 1 \(.*\); annotations: 2, images: 2 \(/);
  t.regex(text, /AP50 +0\.505/); // recalls 0 to 0.50 of 101
  t.regex(text, /APs +- .*there are none/);
  t.regex(text, /AR100 +0\.500/);
  t.regex(text, /VOC 11 +0\.545/);
  t.regex(text, /VOC all +0\.500/);
});

test('--json: one object with the names of COCO, through the command line', (t) => {
  const printed: string[] = [], log = console.log;
  console.log = (line: string) => { printed.push(line); };
  try {
    const program = new Command('qdetr');
    evaluateCommand(program);
    program.parse(['evaluate', '--annotations', file(truth), '--detections', file([found, { ...found, image_id: 8 }]), '--json', '--voc'], { from: 'user' });
  } finally {
    console.log = log;
  }
  t.is(printed.length, 1);
  const { AP, VOC, ...rest } = JSON.parse(printed[0]) as Record<string, number>;
  t.true(Math.abs(AP - 1) < 1e-12);
  t.deepEqual(VOC as unknown, { AP11: 1, APall: 1 });
  t.deepEqual(Object.keys(rest), ['AP50', 'AP75', 'APs', 'APm', 'APl', 'AR1', 'AR10', 'AR100', 'ARs', 'ARm', 'ARl']);
  t.is(rest.APl, -1);
});

const wrongDetections: [what: string, content: unknown, message: RegExp][] = [
  ['an unknown image', [found, { ...found, image_id: 99 }], /\[1\]\.image_id is 99, which is none of the ids in images of .*\.json: evaluate against/],
  ['an unknown category', [{ ...found, category_id: 4 }], /\[0\]\.category_id is 4, which is none of the ids in categories/],
  ['a NaN score, as Python writes it', '[{"image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4], "score": NaN}]', /\[0\]\.score is "NaN": make it a finite number/],
  ['an infinite width', '[{"image_id": 7, "category_id": 3, "bbox": [1, 2, Infinity, 4], "score": 1}]', /\[0\]\.bbox\[2\] is "Infinity"/],
  ['a number too large for a double', '[{"image_id": 7, "category_id": 3, "bbox": [1, 2, 1e999, 4], "score": 1}]', /\[0\]\.bbox\[2\] is Infinity/],
  ['a negative score', [{ ...found, score: -0.1 }], /\[0\]\.score is -0\.1: a score is a confidence/],
  ['a score that is text', [{ ...found, score: '0.9' }], /\[0\]\.score is "0\.9": make it a finite number/],
  ['a negative width', [{ ...found, bbox: [50, 10, -40, 40] }], /\[0\]\.bbox has a negative width \(-40\): write boxes as left, top, width, height/],
  ['a box of three numbers', [{ ...found, bbox: [1, 2, 3] }], /\[0\]\.bbox is \[1,2,3\]: a box is four numbers/],
  ['no score', [{ image_id: 7, category_id: 3, bbox: [1, 2, 3, 4] }], /\[0\]\.score is missing/],
  ['no box', [{ image_id: 7, category_id: 3, score: 1 }], /\[0\]\.bbox is missing/],
  ['no object', [null], /\[0\] is null: COCO results are an array of/],
  ['no array', { annotations: [] }, /is no JSON array: COCO results are an array of/],
  ['no JSON', '[{"image_id": 7,', /\.json is no JSON \(.*\): give the detections as COCO results/],
];
for (const [what, content, message] of wrongDetections) {
  test(`detections with ${what} are refused in one sentence with file, entry and way out`, (t) => {
    const detections = file(content);
    const error = t.throws(() => evaluationReport({ annotations: file(truth), detections }), { instanceOf: UserError, message });
    t.true(error.message.startsWith(detections));
  });
}

const wrongAnnotations: [what: string, content: unknown, message: RegExp][] = [
  ['no categories', { ...truth, categories: undefined }, /: categories is missing: COCO annotations are an object with/],
  ['an array', [annotation], /is no JSON object: COCO annotations are an object with/],
  ['an image without id', { ...truth, images: [{}] }, /images\[0\]\.id is missing/],
  ['an annotation on an unknown image', { ...truth, annotations: [{ ...annotation, image_id: 1 }] }, /annotations\[0\]\.image_id is 1, which is none of the ids in images: add it there or drop the annotation/],
  ['an annotation without area', { ...truth, annotations: [{ ...annotation, area: undefined }] }, /annotations\[0\]\.area is missing: make it the object's area in pixels/],
  ['a negative height', { ...truth, annotations: [{ ...annotation, bbox: [1, 2, 3, -4] }] }, /annotations\[0\]\.bbox has a negative height \(-4\)/],
  ['iscrowd 2', { ...truth, annotations: [{ ...annotation, iscrowd: 2 }] }, /annotations\[0\]\.iscrowd is 2: make it 0 or 1/],
];
for (const [what, content, message] of wrongAnnotations) {
  test(`annotations with ${what} are refused likewise`, (t) => {
    const annotations = file(content);
    const error = t.throws(() => evaluationReport({ annotations, detections: file([]) }), { instanceOf: UserError, message });
    t.true(error.message.startsWith(annotations));
  });
}

test('a missing file is named', (t) => {
  t.throws(() => evaluationReport({ annotations: path.join(folder, 'none.json'), detections: file([]) }), { instanceOf: UserError, message: /none\.json can't be read .*: give the COCO annotations/ });
});

test('any JSON in any place is read or refused in one sentence, never a crash', (t) => {
  const good = groundTruthTable(truth);
  const keys = fc.constantFrom(...Object.keys(annotation), 'score', 'difficult');
  fc.assert(fc.property(fc.jsonValue(), keys, fc.constantFrom('images', 'categories', 'annotations'), (value, key, list) => {
    const refusedOrRead = (f: () => unknown): void => {
      try {
        f();
      } catch (error) {
        t.true(error instanceof UserError && !error.message.includes('\n'), String(error));
      }
    };
    refusedOrRead(() => groundTruthTable(value));
    refusedOrRead(() => groundTruthTable({ ...truth, [list]: value }));
    refusedOrRead(() => groundTruthTable({ ...truth, annotations: [{ ...annotation, [key]: value }] }));
    refusedOrRead(() => detectionTable(detectionColumns(value), good));
    refusedOrRead(() => detectionTable(detectionColumns([{ ...found, [key]: value }]), good));
  }), { numRuns: 500 });
  t.pass();
});
