import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import sharp from 'sharp';
import { classifierStart } from '../../src/experiments/pretraining-run.js';
import { classifier } from '../../src/models/classifier.js';
import { initialClassifierParameters } from '../../src/models/initial-parameters.js';
import { detrSettings } from '../../src/models/settings.js';
import { useBackend } from '../../src/tensor/backend.js';
import { toTensors } from '../../src/tensor/parameters.js';
import { RandomStream } from '../../src/tensor/random.js';
import { tf } from '../../src/tensor/tf.js';
import { qdetr } from './command-line.js';

const folder = mkdtempSync(path.join(tmpdir(), 'qdetr-pretrain-'));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));
const imagenet = path.join(folder, 'imagenet'), runs = path.join(folder, 'runs');
const SETTINGS = ['--scale', 'smoke', '--bits', '4-4-8', '--train-on', `${imagenet}:train`, '--evaluate-on', `${imagenet}:val`, '--runs', runs];
const steps = (n: number): string[] => ['--set', `steps=${n}`, 'warmUpSteps=0', 'batchSize=8', 'learningRate=0.01', `evaluationInterval=${n}`, 'checkpointInterval=2'];

test.before('images of ImageNet\'s layout: red ones and blue ones, of several sizes', async () => {
  const random = new RandomStream(9);
  for (const [split, count] of [['train', 12], ['val', 6]] as const) {
    for (const [name, colour] of [['n01', [220, 40, 30]], ['n02', [30, 40, 220]]] as const) {
      mkdirSync(path.join(imagenet, split, name), { recursive: true });
      for (let i = 0; i < count; i++) {
        const width = 40 + random.integer(60), height = 40 + random.integer(60);
        const pixels = Uint8Array.from({ length: width * height * 3 }, (_, at) => Math.min(255, Math.max(0, colour[at % 3] + random.integer(80) - 40)));
        writeFileSync(path.join(imagenet, split, name, `${name}_${i}.JPEG`), await sharp(pixels, { raw: { width, height, channels: 3 } }).jpeg().toBuffer());
      }
    }
  }
});

test.serial('a quantized backbone learns two colours; stopped and gone on with, the same weights; a detector starts from it', async (t) => {
  const stopped = await qdetr(['pretrain', ...SETTINGS, ...steps(24)], /pretrain\/backbone-smoke-4-4-8 +[1-9]\/24 steps/);
  t.is(stopped.code, 130, stopped.stderr);
  const { code, stdout, stderr } = await qdetr(['pretrain', ...SETTINGS, ...steps(24), '--export', path.join(folder, 'backbone.safetensors')]);
  t.is(code, 0, stderr);
  const [, top1, id] = /On imagenet-val: top-1 ([\d.]+), top-5 100\.0\nRun (\w{12}): /.exec(stdout) ?? [];
  t.true(Number(top1) > 80, stdout);
  const weights = (): string => readFileSync(path.join(runs, id, 'LAST'), 'utf8'), resumed = weights();
  const again = await qdetr(['pretrain', ...SETTINGS, ...steps(24), '--fresh']);
  t.is(again.code, 0, again.stderr);
  t.is(weights(), resumed);

  const voc = path.join(folder, 'voc');
  t.is((await qdetr(['data', 'export', '--split', 'val', '--size', '64', '--count', '8', '--out', voc])).code, 0);
  for (const from of [id, path.join(folder, 'backbone.safetensors')]) {
    const detector = await qdetr(['train', '--preset', 'voc-baseline-detr-r50-4bit', '--scale', 'smoke', '--from', from, '--train-on', `${voc}:val`, '--evaluate-on', `${voc}:val`, '--runs', runs, '--dry-run']);
    t.is(detector.code, 0, detector.stderr);
    t.regex(detector.stdout, /start +.*: \d+ of \d+ parameters \((quantizers are left out, and calibrated anew; )?the backbone; the transformer starts from random weights\)/);
  }
});

test.serial('decision A21: before its quantizers act, a backbone with RPReLU is the one whose weights it starts from', async (t) => {
  await useBackend('wasm');
  const { backbone } = detrSettings.smoke, plain = initialClassifierParameters(backbone, 5, new RandomStream(2)), rprelu = { ...backbone, activation: 'rprelu' as const };
  const started = classifierStart(rprelu, 5, 7, { id: 'x', origin: 'x', parameters: plain, model: undefined });
  const images = tf.randomNormal([2, 32, 32, 3], 0, 1, 'float32', 1), of = (parameters: typeof plain, settings: typeof backbone) => classifier(toTensors(parameters), images, settings).logits.dataSync();
  t.deepEqual(of(started, rprelu), of(plain, backbone));
  t.throws(() => classifierStart({ ...backbone, stem: 4 }, 5, 7, { id: 'x', origin: 'file', parameters: plain, model: undefined }), { message: /^file does not fit: 'backbone\.0\.body\.conv1\.weight' has the shape \[3, 3, 3, 8\], this backbone's has \[3, 3, 3, 4\]: give weights of this backbone$/ });
});

for (const [args, message] of [
  [[], /^error: \S+imagenet\/train is missing: npx qdetr data fetch imagenet --from <your download> unpacks ImageNet, or give folders of your own with --train-on and --evaluate-on\n$/],
  [['--train-on', imagenet], /^error: --train-on \S+: should be a folder and a split of it/],
] as const) {
  test.serial(`pretrain ${args.join(' ').replace(folder, '')}: one line and exit code 1`, async (t) => {
    const { code, stdout, stderr } = await qdetr(['pretrain', '--data', path.join(folder, 'none'), ...args]);
    t.deepEqual([code, stdout], [1, '']);
    t.regex(stderr, message);
  });
}

test.serial('without --from at full size; classes that differ', async (t) => {
  const told = async (...args: string[]): Promise<string> => (await qdetr(['pretrain', ...args, '--runs', path.join(folder, 'never')])).stderr;
  t.regex(await told('--train-on', `${imagenet}:train`, '--evaluate-on', `${imagenet}:val`), /pretrain starts from torchvision's weights: give them with --from \(npx qdetr weights fetch resnet50-v1\), or --from none/);
  mkdirSync(path.join(imagenet, 'odd', 'n03'), { recursive: true });
  writeFileSync(path.join(imagenet, 'odd', 'n03', 'a.JPEG'), readFileSync(path.join(imagenet, 'val', 'n01', readdirSync(path.join(imagenet, 'val', 'n01'))[0])));
  t.regex(await told('--train-on', `${imagenet}:train`, '--evaluate-on', `${imagenet}:odd`, '--from', 'none'), /imagenet-train and imagenet-odd have other classes \(2 and 1\)/);
});
