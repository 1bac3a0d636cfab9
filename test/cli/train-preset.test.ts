import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { parseRunSummary } from '../../src/training/run-record.js';
import { qdetr, type Outcome } from './command-line.js';

const folder = mkdtempSync(path.join(tmpdir(), 'qdetr-preset-'));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));
const at = (...parts: string[]): string => path.join(folder, ...parts);
const SMALL = ['--scale', 'smoke', '--from', 'none', '--set', 'steps=4', 'warmUpSteps=0', 'evaluationInterval=4', 'checkpointInterval=1', '--evaluate-images', '6'];
const train = (preset: string, on: string, runs: string, more: readonly string[] = [], interruptAt?: RegExp): Promise<Outcome> =>
  qdetr(['train', '--preset', preset, '--train-on', on, '--evaluate-on', on, '--runs', at(runs), ...SMALL, ...more], interruptAt);

test.before('a folder of VOC and one of COCO', async () => {
  for (const format of ['voc', 'coco']) {
    const { code, stderr } = await qdetr(['data', 'export', '--format', format, '--split', 'val', '--size', '64', '--count', '24', '--out', at(format)]);
    if (code !== 0) throw new Error(stderr);
  }
});

/** What a finished training leaves: logs and weights of its runs. */
const left = (runs: string): unknown => Object.fromEntries(readdirSync(at(runs)).map((id) => [id, [readFileSync(at(runs, id, 'metrics.jsonl'), 'utf8'), (JSON.parse(readFileSync(at(runs, id, 'LAST'), 'utf8')) as { checkpoints: { sha256: string }[] }).checkpoints[0].sha256]]));

test.serial('VOC: a teacher, then Q-DETR in two stages from it; interrupted and gone on with, the same weights and lines; the weights evaluate', async (t) => {
  const teacher = await train('voc-detr-r101', `${at('voc')}:val`, 'teacher', ['--export', at('teacher.safetensors')]);
  t.is(teacher.code, 0, teacher.stderr);
  t.regex(teacher.stdout, /^preset +voc-detr-r101: Real-valued, 32-32-32\nmodel +DETR, scale smoke in the place of full size, [\d,]+ parameters, 20 classes\nstart +random weights\n/);
  const student = ['--teacher', at('teacher.safetensors'), '--export', at('student.safetensors')];
  const whole = await train('voc-q-detr-r50-4bit', `${at('voc')}:val`, 'whole', student);
  t.is(whole.code, 0, whole.stderr);
  t.regex(whole.stdout, /teacher +\S+teacher\.safetensors .*\n.*\n.*\nschedule +2 stages of 4 steps .* of 2 images, 2 x 1 at a time/);
  t.regex(whole.stdout, /memory +about .*\ntime +about .* measured here in a second/);
  const summaries = readdirSync(at('whole')).map((id) => parseRunSummary(JSON.parse(readFileSync(at('whole', id, 'summary.json'), 'utf8')), id)).sort((a, b) => a.experiment.length - b.experiment.length);
  t.deepEqual(summaries.map(({ experiment, groups, method, dataset, scale }) => [experiment, groups?.length, method, dataset, scale]), [
    ['preset/voc-q-detr-r50-4bit', 4, '+ DA + FQM (Q-DETR)', 'voc:val', 'smoke'], ['preset/voc-q-detr-r50-4bit/stage-1', 1, '+ DA + FQM (Q-DETR)', 'voc:val', 'smoke'],
  ]);
  t.true(summaries.every(({ distillationRatio }) => distillationRatio!.length > 0 && distillationRatio!.every(({ ratio }) => ratio >= 0)));

  const stopped = await train('voc-q-detr-r50-4bit', `${at('voc')}:val`, 'parts', student, /stage 2 of 2 +[12]\/4 steps/);
  t.is(stopped.code, 130, stopped.stdout + stopped.stderr);
  t.regex(stopped.stdout, /Stopped after step [123]; its checkpoint is in .*\. The same command goes on from there\./);
  const resumed = await train('voc-q-detr-r50-4bit', `${at('voc')}:val`, 'parts', student);
  t.is(resumed.code, 0, resumed.stderr);
  t.deepEqual(left('parts'), left('whole'));

  const evaluated = await qdetr(['evaluate', '--weights', at('student.safetensors'), '--on', `${at('voc')}:val`, '--images', '6', '--out', at('found.json'), '--json']);
  t.is(evaluated.code, 0, evaluated.stderr);
  const { AP50 } = JSON.parse(evaluated.stdout) as { AP50: number };
  t.true(Math.abs(AP50 - summaries[0].evaluations.at(-1)!.ap50) < 1e-6, 'what the training found');
  t.is((JSON.parse(readFileSync(at('found.json'), 'utf8')) as unknown[]).length, 6 * 10);
});

test.serial('COCO: SMCA-DETR, real-valued and at 2 bits from its run; a run is evaluated by its id', async (t) => {
  const real = await train('coco-smca-detr-r50', `${at('coco')}:val`, 'coco');
  t.is(real.code, 0, real.stderr);
  const [id] = readdirSync(at('coco'), { withFileTypes: true }).map(({ name }) => name).filter((name) => /^[0-9a-f]{12}$/.test(name));
  t.truthy(id);
  const { code, stdout, stderr } = await qdetr(['train', '--preset', 'coco-lsq-smca-detr-r50-2bit', '--train-on', `${at('coco')}:val`, '--evaluate-on', `${at('coco')}:val`, '--runs', at('coco'), ...SMALL.map((word) => (word === 'none' ? id : word)), '--micro-batch', '2']);
  t.is(code, 0, stderr);
  t.regex(stdout, new RegExp(`start +run ${id} .*: \\d+ of \\d+ parameters`));
  t.regex(stdout, /1 x 2 at a time/);
  const evaluated = await qdetr(['evaluate', '--weights', /Run (\w{12})/.exec(stdout)![1], '--on', `${at('coco')}:val`, '--runs', at('coco'), '--images', '4']);
  t.is(evaluated.code, 0, evaluated.stderr);
  t.regex(evaluated.stdout, /^detections: 40 \(run \w{12} \(preset\/coco-lsq-smca-detr-r50-2bit, step 4\), 2-2-8\); annotations: \d+, images: 4 /);
});

test.serial('a broken image: fatal, or left out by choice and named once', async (t) => {
  const broken = at('voc', 'JPEGImages', readdirSync(at('voc', 'JPEGImages'))[3]), bytes = readFileSync(broken);
  t.teardown(() => writeFileSync(broken, bytes));
  truncateSync(broken, 300);
  const evaluate = (...more: string[]): Promise<Outcome> => qdetr(['evaluate', '--weights', 'data-manifests/weights/minivoc-minutes.safetensors', '--on', `${at('voc')}:val`, ...more]);
  const fatal = await evaluate();
  t.is(fatal.code, 1);
  t.true(fatal.stderr.includes(broken), fatal.stderr);
  const skipped = await evaluate('--on-broken', 'skip');
  t.is(skipped.code, 0, skipped.stderr);
  t.is(skipped.stderr.split(broken).length, 2);
  t.regex(skipped.stdout, /annotations: \d+, images: 23 /, 'its objects are not counted as missed');
});

test.serial('a dry run says what it would do and needs, and writes nothing; the list has every preset', async (t) => {
  const { code, stdout } = await train('voc-baseline-detr-r50-2bit', `${at('voc')}:val`, 'dry', ['--dry-run']);
  t.is(code, 0);
  t.regex(stdout, /Baseline, 2-2-8\n[\s\S]*memory +about \d+ MiB at the largest canvas, \d+ x \d+; 9 canvases\ntime +about [\d.]+ \w+ on onnxruntime-node[^\n]*\nNothing was trained \(--dry-run\)\.\n$/);
  t.false(existsSync(at('dry')));
  t.is((await qdetr(['train', '--list-presets'])).stdout.trim().split('\n').length, 68);
});

for (const [args, message] of [
  [['--preset', 'voc-q-detr-r50'], 'error: --preset voc-q-detr-r50: there is no such preset, did you mean voc-detr-r50: npx qdetr train --list-presets shows all'],
  [['--preset', 'voc-detr-r50', '--data', '/nowhere'], 'error: /nowhere/VOCdevkit/VOC2007 is missing: npx qdetr data fetch voc2007 voc2012 brings it, or give folders of your own with --train-on and --evaluate-on'],
  [['--preset', 'voc-detr-r50', '--bits', '4-4-8'], 'error: --bits has no meaning with --preset, which says it: leave it out, or see --list-presets'],
  [['--micro-batch', '2'], 'error: --micro-batch belongs to --preset: give one, see --list-presets'],
  [['--scale', 'paper'], 'error: --scale paper needs --preset <name>: see --list-presets'],
] as const) {
  test.serial(`train ${args.join(' ')}: one line and exit code 1`, async (t) => {
    const { code, stdout, stderr } = await qdetr(['train', ...args]);
    t.deepEqual([code, stdout, stderr], [1, '', `${message}\n`]);
  });
}

test.serial('other classes, a quantized teacher, a teacher that nothing learns from: refused', async (t) => {
  const told = async (...args: string[]): Promise<string> => {
    const { code, stderr } = await qdetr(args);
    t.is(code, 1, stderr);
    return stderr.trim();
  };
  const other = at('other', 'annotations', 'instances_val.json'), coco = JSON.parse(readFileSync(at('coco', 'annotations', 'instances_val.json'), 'utf8')) as { categories: { name: string }[] };
  mkdirSync(path.dirname(other), { recursive: true });
  writeFileSync(other, JSON.stringify({ ...coco, categories: coco.categories.map((category, i) => ({ ...category, name: coco.categories[(i + 7) % 20].name })) }));
  symlinkSync(at('coco', 'val'), at('other', 'val'));
  t.regex(await told('evaluate', '--weights', 'data-manifests/weights/minivoc-minutes.safetensors', '--on', `${at('other')}:val`), /calls class 0 'aeroplane', and other-val 'cat': give a detector of the same classes$/);
  const on = [...SMALL, '--train-on', `${at('voc')}:val`, '--evaluate-on', `${at('voc')}:val`, '--runs', at('never')];
  t.regex(await told('train', '--preset', 'voc-q-detr-r50-2bit', '--teacher', at('student.safetensors'), ...on), /is quantized, and a teacher is real-valued \(decision A25\)/);
  t.regex(await told('train', '--preset', 'voc-detr-r50', '--teacher', at('teacher.safetensors'), ...on), /--teacher has no meaning with --preset voc-detr-r50, which learns from none: leave it out$/);
  t.regex(await told('train', '--preset', 'voc-q-detr-r50-2bit', '--teacher', 'data-manifests/weights/minivoc-minutes.safetensors', ...on, '--dry-run'), /the teacher has modelWidth 64|modelWidth 64 where the student has 32/);
});

test.serial('images with more objects than the model has queries: as many are learned, and it is said', async (t) => {
  const file = readdirSync(at('voc', 'Annotations'))[0], xml = readFileSync(at('voc', 'Annotations', file), 'utf8');
  t.teardown(() => writeFileSync(at('voc', 'Annotations', file), xml));
  const object = '<object><name>cat</name><difficult>0</difficult><bndbox><xmin>2</xmin><ymin>2</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object>';
  writeFileSync(at('voc', 'Annotations', file), xml.replace('</annotation>', `${object.repeat(15)}</annotation>`));
  const { code, stdout, stderr } = await train('voc-detr-r50', `${at('voc')}:val`, 'crowded');
  t.is(code, 0, stderr);
  t.regex(stdout, /of an image's objects \(up to 1[5-9]|of an image's objects \(up to 2\d\) the first 10, as many as the model has queries/);
});

test.serial('what does not fit is told before anything is trained', async (t) => {
  const told = async (more: readonly string[], preset = 'voc-detr-r50'): Promise<string> => {
    const { code, stderr } = await train(preset, `${at('voc')}:val`, 'never', more);
    t.is(code, 1);
    t.false(existsSync(at('never')));
    return stderr.trim();
  };
  t.regex(await told([], 'voc-q-detr-r50-4bit'), /learns from a teacher: give its weights with --teacher; npx qdetr train --preset voc-detr-r101 trains one$/);
  t.regex(await told(['--micro-batch', '3']), /--micro-batch 3: should be a divisor of batchSize, 2$/);
  t.regex(await told(['--evaluate-on', `${at('coco')}:train`]), /instances_train\.json/);
  t.regex(await told(['--train-on', at('voc')]), /should be a folder and a split of it/);
  t.regex(await told(['--from', 'data-manifests/weights/minivoc-minutes.safetensors']), /does not fit: 'backbone\.0\.body\.conv1\.weight' has the shape \[3, 3, 3, 16\], this model's has \[3, 3, 3, 8\]: give weights of this model, or of its backbone$/);
});
