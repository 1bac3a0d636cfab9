/**
 * README.md and notebooks/README.md hold what they say: every command is run at a small size, or parsed where it needs minutes,
 * Python or a download; links, pictures, numbers, and the table of what of the paper is here are checked.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import type { Command } from 'commander';
import { commands, main } from '../src/cli/main.js';
import { openBank } from '../src/data/minivoc/bank.js';
import { countSprites } from '../src/data/minivoc/statistics.js';
import { sizesOf } from '../src/experiments/detector-run.js';
import { startExperiment } from '../src/experiments/start.js';
import { modelOf } from '../src/models/settings.js';

const PAGES = ['README.md', 'notebooks/README.md'];
const pages = new Map(PAGES.map((page) => [page, readFileSync(page, 'utf8')]));
const readme = pages.get('README.md')!;

const folder = mkdtempSync(path.join(tmpdir(), 'qdetr-readme-'));
test.after.always(() => rmSync(folder, { recursive: true }));
/** The commands' DIR, and their input files. */
const OUT = path.join(folder, 'out');

// Two images with one box each, both found.
const boxes = [7, 8].map((image_id) => ({ image_id, category_id: 3, bbox: [10, 10, 40, 40] }));
const coco = { images: [{ id: 7 }, { id: 8 }], categories: [{ id: 3, name: 'cat' }], annotations: boxes.map((box, id) => ({ ...box, id, area: 1600, iscrowd: 0 })) };
const A = path.join(folder, 'A.json'), D = path.join(folder, 'D.json');
writeFileSync(A, JSON.stringify(coco));
writeFileSync(D, JSON.stringify(boxes.map((box) => ({ ...box, score: 0.9 }))));

/** A command that is run here: what is run in its place (small, into a temporary folder), what it prints and the files that it leaves. */
interface Performed { run: string; prints: RegExp; leaves?: string[]; environment?: Record<string, string> }
/** A command that another test file performs: the file, and what has to be found in it. */
interface Elsewhere { file: string; holds: RegExp }
/** A command that no test can perform, and why. Its files and options are checked where it has any. */
interface Unperformed { why: string; needs?: string[] }

/** How each command of the pages is checked. One that isn't in this list fails the test; so does an entry that no page uses. */
const CHECKS: Record<string, Performed | Elsewhere | Unperformed> = {
  'npm ci': { why: 'it would replace the packages under the running tests', needs: ['package.json', 'package-lock.json'] },
  'npm start': { why: 'it takes minutes: its smoke scale is run below' },
  'npm start -- --fresh': { why: 'as npm start' },
  'npm start -- --set seed=1': { why: 'as npm start' },
  'npm start -- --set learningRate=0.001 steps=600': { why: 'as npm start' },
  'npm start -- --model smca-detr': { why: 'as npm start' },
  'npm start -- --scale smoke --runs .cache/try --out .cache/try': {
    run: `start --scale smoke --runs ${OUT}/runs --out ${OUT}/figures`, prints: /Q-DETR, same slot, 2-2-8[\s\S]*5 of 5 cells done in [\s\S]*table-2\.2\.md/,
    leaves: ['figures/table-2.2.md', ...['table-2.2', 'figure-2.12a', 'figure-2.12b'].flatMap((name) => ['vl.json', 'svg', 'png'].map((type) => `figures/${name}.${type}`))],
  },
  'npx qdetr experiment --list': { run: 'experiment --list', prints: /table-2\.2 +Table 2\.2[\s\S]*controls/ },
  'npx qdetr experiment table-2.2 --scale minutes --seeds 1': { why: 'it takes half an hour: its smoke scale has a test of its own' },
  'npx qdetr experiment table-2.2 --scale smoke --runs DIR --out DIR': { file: 'test/cli/experiment.test.ts', holds: /\['experiment', 'table-2\.2', '--scale', 'smoke', '--runs', [^\n]*'--out', place, '--set'/ },
  'npx qdetr experiment figure-2.12a --model smca-detr --bits 2-2-8 --dry-run': { run: 'experiment figure-2.12a --model smca-detr --bits 2-2-8 --dry-run', prints: /full imitation[\s\S]*Nothing was trained/ },
  'npx qdetr claims': { file: 'test/cli/experiment.test.ts', holds: /qdetr\(\['claims'/ },
  'npx qdetr train --bits 3-3-8 --from shipped': { why: 'it takes minutes: its dry run is next' },
  'npx qdetr train --bits 3-3-8 --from shipped --dry-run': { run: 'train --bits 3-3-8 --from shipped --dry-run', prints: /DETR 3-3-8 on MiniVOC, scale minutes, starts from the weights that come with the project[\s\S]*Nothing was trained/ },
  'npx qdetr train --scale smoke --bits 4-4-8': { run: `train --scale smoke --bits 4-4-8 --runs ${OUT}/train`, prints: /AP50 on MiniVOC \(minivoc-64, scale smoke\)/ },
  'npx qdetr start': { why: 'as npm start' },
  'npm test': { why: 'it is what runs this', needs: ['test/run.ts'] },
  'npm test -- test/quantizer': { why: 'it is what runs this', needs: ['test/quantizer'] },
  'npm run notebooks': { why: 'it takes minutes and writes into the notebooks: each is run at smoke size elsewhere' },
  'npx qdetr notebooks': { why: 'as npm run notebooks' },
  'npx qdetr notebooks --check': { why: 'it takes minutes' },
  'npx qdetr notebooks --check notebooks/00-start.ipynb': { file: 'test/notebooks/committed.test.ts', holds: /executeNotebook\('notebooks\/00-start\.ipynb', \{ check: true, smoke: false \}\)/ },
  'npx qdetr notebooks --smoke notebooks/01-quantizer.ipynb': { file: 'test/notebooks/committed.test.ts', holds: /executeNotebook\(file, \{ smoke: true \}\)/ },
  'npm run bench': { file: 'test/bench/run.test.ts', holds: /test\/bench\/run\.ts/ },
  'npm run bench -- --memory': { why: 'it takes minutes', needs: ['test/bench/run.ts'] },
  'npm run bench -- --predict': { why: 'it takes minutes, and PyTorch', needs: ['test/bench/predict.ts', 'test/bench/predict.py'] },
  'npm run bench -- --decoding': { why: 'it takes minutes, and Python', needs: ['test/bench/decoding.ts', 'test/bench/decoding.py'] },
  'npm run bench -- --agreement': { why: 'it takes minutes on a graphics card', needs: ['test/bench/agreement.ts', 'test/bench/agreement-report.ts', 'test/bench/agreement.test.ts'] },
  'npm run bench -- --gpu': { why: 'it needs a graphics card', needs: ['test/bench/gpu.ts', 'test/bench/gpu-child.ts', 'test/bench/gpu_workloads.py'] },
  'git checkout figures': { why: 'it would undo what the tests run in', needs: ['figures/table-2.2.md'] },
  'npm run typecheck': { file: 'test/run.ts', holds: /typescript\/bin\/tsc', '--noEmit'/ },
  'npm run lint': { file: 'test/run.ts', holds: /eslint\/bin\/eslint\.js/ },
  'npm install --no-save -P @tensorflow/tfjs-node-gpu@4.22.0': { why: 'it downloads a library, and needs an NVIDIA GPU', needs: ['src/tensor/tensorflow.ts'] },
  'npm install --no-save -P @tensorflow/tfjs-node@4.22.0': { why: 'it downloads a library, and would change the packages under the running tests', needs: ['src/tensor/tensorflow.ts'] },
  'QDETR_BACKEND=tensorflow npx qdetr notebooks --smoke notebooks/01-quantizer.ipynb': { why: 'it needs an optional package; test/notebooks/committed.test.ts runs the notebook on wasm', needs: ['notebooks/01-quantizer.ipynb'] },
  'bash src/tensor/tensorflow/build-binding.sh': { why: 'it would change the packages under the running tests', needs: ['src/tensor/tensorflow/build-binding.sh'] },
  'npx qdetr --help': { run: '--help', prints: /^Usage: qdetr / },
  'npx qdetr doctor': { file: 'test/cli/doctor.test.ts', holds: /'doctor', \.\.\.args/ },
  'npx qdetr bundle': { file: 'test/cli/bundle/end-to-end.test.ts', holds: /makeBundle\(\{ output, withCpuEngine: true/ },
  'tar xf qdetr-linux-x64.tar.xz': { file: 'test/cli/bundle/end-to-end.test.ts', holds: /execFileSync\('tar', \['xf', output/ },
  'cd qdetr': { file: 'test/cli/bundle/end-to-end.test.ts', holds: /path\.join\(folder, 'qdetr'\)/ },
  './qdetr doctor': { file: 'test/cli/bundle/end-to-end.test.ts', holds: /bundled\(root, 'doctor'\)/ },
  'npx qdetr plan --scale smoke --bits 4-4-8 --distill': { run: 'plan --scale smoke --bits 4-4-8 --distill', prints: /One training step of DETR 4-4-8, scale smoke[\s\S]*time, estimated/ },
  'npx qdetr plan': { file: 'test/cli/plan.test.ts', holds: /\['plan', '--scale', 'smoke'/ },
  'npx qdetr cost --model detr-r50 --bits 4-4-8': { run: 'cost --model detr-r50 --bits 4-4-8', prints: /^DETR-R50, 91 classes[\s\S]*^4-4-8 +19\.92 +19\.88 /m },
  'npx qdetr cost': { file: 'test/cli/cost.test.ts', holds: /qdetr\(\['cost'\]\)/ },
  'npx qdetr cost --table': { file: 'test/cli/cost.test.ts', holds: /qdetr\(\['cost', '--table'\]\)/ },
  'QDETR_ENGINE=onnxruntime-web npx qdetr doctor': { run: 'doctor', environment: { QDETR_ENGINE: 'onnxruntime-web' }, prints: /onnxruntime-node +\S+ \(not chosen: QDETR_ENGINE is onnxruntime-web\)\n. onnxruntime-web +\S+ \(chosen\)/ },
  'npx qdetr figures': { why: "it redraws the project's own figures: the next one draws elsewhere" },
  'npx qdetr figures --only figure-2.12a --out DIR': { run: `figures --only figure-2.12a --out ${OUT}/one`, prints: /figure-2\.12a\.png/, leaves: ['one/figure-2.12a.png', 'one/figure-2.12a.svg', 'one/figure-2.12a.vl.json'] },
  'npx qdetr figures --runs DIR --out DIR': { run: `figures --runs ${OUT}/no-runs --out ${OUT}/all`, prints: /table-2\.2\.md/, leaves: ['all/table-2.2.md', 'all/table-2.2-conditions.png'] },
  'npx qdetr evaluate --annotations A.json --detections D.json --json': { run: `evaluate --annotations ${A} --detections ${D} --json`, prints: /^\{"AP":(1|0\.9999999\d*),"AP50":/ },
  'npx qdetr data list': { run: 'data list', prints: /PASCAL VOC 2007 \(voc2007\)[\s\S]*voc2007-trainval +460 MB/ },
  'npx qdetr data status': { file: 'test/cli/official-commands.test.ts', holds: /run\('data', 'status', 'voc2007'/ },
  'npx qdetr data fetch voc2007 voc2012': { file: 'test/cli/official-commands.test.ts', holds: /run\('data', 'fetch', 'voc2007'/ },
  'npx qdetr data verify voc2007': { file: 'test/cli/official-commands.test.ts', holds: /run\('data', 'verify', 'voc2007'/ },
  'npx qdetr weights list': { run: 'weights list', prints: /detr-r50 +167 MB[\s\S]*resnet50-v1 +103 MB/ },
  'npx qdetr weights fetch resnet101-v1 resnet50-v1': { file: 'test/cli/official-commands.test.ts', holds: /run\('weights', 'fetch', 'detr'/ },
  'npx qdetr weights fetch detr-r50': { file: 'test/cli/official-commands.test.ts', holds: /run\('weights', 'fetch', 'detr'/ },
  'npx qdetr weights show FILE': { file: 'test/cli/weights-convert.test.ts', holds: /qdetr\(\['weights', 'show', file/ },
  'npx qdetr weights train --role teacher --scale gpu': { file: 'test/cli/weights-train.test.ts', holds: /\['weights', 'train', '--role', 'teacher', '--scale', 'smoke'/ },
  'npx qdetr weights pack RUN --as gpu-teacher': { file: 'test/cli/weights-train.test.ts', holds: /\['weights', 'pack', id!, '--as', 'smoke-teacher'/ },
  'npx qdetr weights convert --from FILE --to OUT.safetensors': { file: 'test/cli/weights-convert.test.ts', holds: /qdetr\(\['weights', 'convert', '--from'/ },
  'npx qdetr train --list-presets': { run: 'train --list-presets', prints: /voc-q-detr-r50-4bit +4-4-8 +300 epochs x 2/ },
  'npx qdetr train --preset voc-detr-r101 --from .data/weights/resnet101-63fe2227.pth --export teacher.safetensors': { file: 'test/cli/train-preset.test.ts', holds: /train\('voc-detr-r101'/ },
  'npx qdetr train --preset voc-q-detr-r50-4bit --from .data/weights/resnet50-0676ba61.pth --teacher teacher.safetensors --micro-batch 4 --dry-run': { file: 'test/cli/train-preset.test.ts', holds: /'--dry-run'/ },
  'npx qdetr evaluate --weights teacher.safetensors --on .data/VOCdevkit/VOC2007:test': { file: 'test/cli/train-preset.test.ts', holds: /qdetr\(\['evaluate', '--weights', at\('student\.safetensors'\), '--on'/ },
  'npx qdetr predict --weights teacher.safetensors --image photo.jpg --draw boxes.png': { file: 'test/cli/predict.test.ts', holds: /'--draw', picture/ },
  'npx qdetr predict --weights data-manifests/weights/minivoc-minutes.safetensors --image photo.jpg --draw photo.png': { file: 'test/cli/predict.test.ts', holds: /qdetr\(\['predict', '--weights', MINUTES, '--image'/ },
  'npx qdetr data export --format coco --split train --count 400 --size 64 --out .cache/coco': { run: `data export --format coco --split train --count 12 --size 64 --out ${OUT}/coco`, prints: /^12 images in /m, leaves: ['coco/annotations/instances_train.json'] },
  'npx qdetr train --preset coco-baseline-detr-r50-4bit --scale smoke --from none --train-on .cache/coco:train --evaluate-on .cache/coco:train': {
    run: `train --preset coco-baseline-detr-r50-4bit --scale smoke --from none --train-on ${OUT}/coco:train --evaluate-on ${OUT}/coco:train --runs ${OUT}/preset`, prints: /stage 2 of 2 [\s\S]*On coco-train: AP /,
  },
  'npx qdetr pretrain --bits 4-4-8 --from .data/weights/resnet50-0676ba61.pth': { file: 'test/cli/pretrain.test.ts', holds: /qdetr\(\['pretrain', \.\.\.SETTINGS/ },
  'npx qdetr data info': { run: 'data info --images 2', prints: /train: 32000 images; of the first 2: / },
  'npx qdetr data verify': { run: 'data verify', prints: /\d+ files are as the index says/ },
  'npx qdetr data export --split val --count 100 --size 128 --out DIR': {
    run: `data export --split val --count 2 --size 128 --out ${OUT}/voc`, prints: /^2 images in /m,
    leaves: ['voc/JPEGImages/val-000001.jpg', 'voc/Annotations/val-000001.xml', 'voc/ImageSets/Main/val.txt'],
  },
  'npx qdetr data export --help': { run: 'data export --help', prints: /--split <name>/ },
  'npx qdetr data contact-sheet --split test --images 48 --out DIR': { run: `data contact-sheet --split test --images 4 --out ${OUT}/sheet`, prints: /images-test-128\.png/, leaves: ['sheet/images-test-128.png'] },
  'npx qdetr data build-sprites --sources DIR': { why: 'it needs 0.5 GB of downloads' },
  'npx tsx my-experiment.ts': { why: 'the file is run by a test of its own, below' },
  'pip install jupyterlab': { why: 'it needs Python' },
  'JUPYTER_PATH="$PWD/notebooks/kernel" jupyter lab notebooks': { why: 'it needs Python; the kernel has its own tests', needs: ['notebooks/kernel/kernels/qdetr-typescript/kernel.json', 'test/notebooks/kernel.test.ts'] },
  'JUPYTER_PATH="$PWD/notebooks/kernel" jupyter lab': { why: 'as above' },
  'jupyter kernelspec install --user notebooks/kernel/kernels/qdetr-typescript': { why: 'as above', needs: ['notebooks/kernel/kernels/qdetr-typescript'] },
  'jupyter lab': { why: 'as above' },
  'set JUPYTER_PATH=%CD%\\notebooks\\kernel': { why: 'it is for Windows' },
};

/** The commands of a page: lines of its `bash` blocks, joined by && or alone, and code in running text that begins like one. */
function commandsOf(markdown: string): string[] {
  const blocks = [...markdown.matchAll(/^```bash\n([\s\S]*?)^```$/gm)].flatMap(([, block]) => block.replace(/\\\n\s*/g, '').split('\n'));
  const inText = [...markdown.replace(/^```[\s\S]*?^```$/gm, '').matchAll(/`([^`\n]+)`/g)].map(([, code]) => code)
    .filter((code) => /^((npm|npx|node|pip|jupyter|git|set) |[A-Z_]+=\S+ \w)/.test(code));
  return [...blocks, ...inText].flatMap((line) => line.replace(/(^|\s+)#.*$/, '').split(' && ')).map((command) => command.trim()).filter((command) => command !== '');
}
const onPages = new Set([...pages.values()].flatMap(commandsOf));

/** What follows `qdetr` in a command, its npm script resolved; undefined for other programs. */
function qdetrArguments(command: string): string[] | undefined {
  const words = command.replace(/^(\w+=\S+ )+/, '').split(' ');
  if (words[0] === 'npx') return words[1] === 'qdetr' ? words.slice(2) : undefined;
  if (words[0] !== 'npm' || words[1] === 'ci') return undefined;
  const script = words[1] === 'run' ? words[2] : words[1], dashes = words.indexOf('--');
  const runs = /^node src\/cli\/qdetr\.mjs (.*)$/.exec(scripts[script] ?? '');
  return runs ? [...runs[1].split(' '), ...(dashes < 0 ? [] : words.slice(dashes + 1))] : undefined;
}
const { scripts, ...manifest } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string>; engines: { node: string }; dependencies: Record<string, string>; devDependencies: Record<string, string> };

/** Runs a script of Node. */
function node(args: string[], environment: Record<string, string> = {}): Promise<{ code: number | null; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, { env: { ...process.env, FORCE_COLOR: undefined, ...environment }, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '', stderr = '';
    child.stdout.on('data', (text: Buffer) => (stdout += text.toString()));
    child.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

/** The command line with every action taken out: it reads its words and does nothing. */
const harmless = Object.fromEntries(Object.entries(commands).map(([name, load]) => [name, async () => {
  const add = await load();
  const disarm = (command: Command): void => {
    if (command.commands.length === 0) command.action(() => {});
    command.commands.forEach(disarm);
  };
  return (program: Command) => {
    add(program);
    program.commands.forEach(disarm);
  };
}]));

test('every command of the pages is in the list of checks, and the list holds no other', (t) => {
  t.deepEqual([...onPages].filter((command) => !(command in CHECKS)), []);
  t.deepEqual(Object.keys(CHECKS).filter((command) => !onPages.has(command)), []);
  t.true(onPages.size > 30);
});

test('commands are found in blocks and in text, without comments', (t) => {
  t.deepEqual(commandsOf('`npm ci` and `code`, `npm`\n```bash\nnpm ci && npm start # both\n\n# no command\nA=1 npx qdetr x \\\n  --y\n```\n```ts\nnpm no\n```\n'), ['npm ci', 'npm start', 'A=1 npx qdetr x --y', 'npm ci']);
});

test.serial('the command line reads every qdetr command of the pages', async (t) => {
  let read = 0;
  const write = process.stdout.write.bind(process.stdout);
  process.stdout.write = () => true; // help
  try {
    for (const command of onPages) {
      const args = qdetrArguments(command);
      if (args === undefined) continue;
      t.is(await main(args, harmless), 0, command);
      read++;
    }
  } finally {
    process.stdout.write = write;
  }
  t.true(read > 20, String(read));
});

test.serial('a command with an option that is gone is caught', async (t) => {
  const error = console.error;
  console.error = () => {};
  try {
    t.is(await main(['data', 'export', '--folder', 'DIR'], harmless), 1);
    t.is(await main(qdetrArguments('npm start -- --scale huge')!, harmless), 1);
  } finally {
    console.error = error;
  }
});

test('npm scripts on the pages are there, and so are the files that they run', (t) => {
  for (const command of onPages) {
    const [npm, word, name] = command.split(' ');
    if (npm !== 'npm' || word === 'ci' || word === 'install') continue;
    const script = scripts[word === 'run' ? name : word];
    t.truthy(script, command);
    for (const file of script.split(' ').filter((part) => part.includes('/'))) t.true(existsSync(file), `${command}: ${file}`);
  }
});

test('npm ci: the lock file is that of package.json, and allows the Node versions that the page names', (t) => {
  const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as { packages: Record<string, Partial<typeof manifest>> };
  t.deepEqual(lock.packages[''].dependencies, manifest.dependencies);
  t.deepEqual(lock.packages[''].devDependencies, manifest.devDependencies);
  t.is(manifest.engines.node, '>=20.19');
  t.true(readme.includes('Node 20.19 or newer'));
});

for (const [command, check] of Object.entries(CHECKS)) {
  if ('run' in check) {
    test.serial(`${command}`, async (t) => {
      const { code, stdout, stderr } = await node(['src/cli/qdetr.mjs', ...check.run.split(' ')], check.environment);
      t.is(code, 0, stderr);
      t.regex(`${stderr}${stdout}`.replace(/^.*(?=Usage:)/s, ''), check.prints);
      for (const file of check.leaves ?? []) t.true(statSync(path.join(OUT, file)).size > 100 || file.endsWith('.txt'), file);
    });
  } else if ('file' in check) {
    test(`${command}: performed by ${check.file}`, (t) => t.regex(readFileSync(check.file, 'utf8'), check.holds));
  } else if (check.needs) {
    test(`${command}: not run (${check.why}); what it needs is there`, (t) => {
      for (const file of check.needs!) t.true(existsSync(file), file);
    });
  }
}

test.serial('my-experiment.ts runs as it is printed', async (t) => {
  const [, code] = /^```ts\n([\s\S]*?)^```$/m.exec(readme)!;
  const file = path.join(folder, 'my-experiment.mts');
  const small = code.replaceAll("'./src/", `'${process.cwd()}/src/`).replace("command: 'npx tsx my-experiment.ts'", `command: 'test', root: '${OUT}/mine'`);
  t.true(small.includes(`${OUT}/mine`));
  writeFileSync(file, small);
  const { code: exit, stdout, stderr } = await node(['--import=tsx', file]);
  t.is(exit, 0, stderr);
  t.regex(stdout, /^32-32-32 .*split: 'test-unseen'[\s\S]*^3-3-8 /m);
  t.is(readdirSync(path.join(OUT, 'mine')).length, 2);
});

/** Anchors of a page's headings, as GitHub makes them. */
const anchors = (markdown: string): string[] => [...markdown.matchAll(/^#+ (.*)$/gm)].map(([, heading]) => heading.toLowerCase().replace(/[^\w\- ]/g, '').replaceAll(' ', '-'));

for (const [page, markdown] of pages) {
  test(`${page}: its links and pictures lead somewhere`, (t) => {
    const prose = markdown.replace(/^```[\s\S]*?^```$/gm, '');
    const links = [...prose.matchAll(/\]\(([^)\s]+)\)/g), ...prose.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link]) => link).filter((link) => !/^https?:/.test(link));
    t.true(links.length > 1);
    for (const link of links) {
      const [file, anchor] = link.split('#');
      const target = file === '' ? page : path.join(path.dirname(page), file);
      t.true(existsSync(target), link);
      if (anchor !== undefined) t.true(anchors(readFileSync(target, 'utf8')).includes(anchor), link);
      if (target.endsWith('.png')) t.deepEqual([...readFileSync(target).subarray(0, 4)], [0x89, 0x50, 0x4e, 0x47], link);
    }
  });
}

test('the notebooks tables name every notebook and no other', (t) => {
  const notebooks = readdirSync('notebooks').filter((file) => file.endsWith('.ipynb')).sort();
  for (const [page, markdown] of pages) {
    const listed = [...markdown.matchAll(/^\| \[[^\]]+\]\(([^)]+\.ipynb)\) \|/gm)].map(([, file]) => path.basename(file));
    t.deepEqual(listed, notebooks, page);
  }
});

test('the commands table names every command of qdetr and every npm script', async (t) => {
  const [, section] = /^## Commands\n([\s\S]*?)^## /m.exec(readme)!;
  const listed = commandsOf(section);
  const program = new (await import('commander')).Command('qdetr');
  for (const load of Object.values(commands)) (await load())(program);
  const leaves = program.commands.flatMap((command) => (command.commands.length > 0 ? command.commands.map((inner) => `npx qdetr ${command.name()} ${inner.name()}`) : [`npx qdetr ${command.name()}`]));
  for (const command of [...leaves, ...Object.keys(scripts).map((script) => (['start', 'test'].includes(script) ? `npm ${script}` : `npm run ${script}`))]) {
    t.true(listed.some((line) => `${line} `.startsWith(`${command} `)), command);
  }
});

test('the coverage table: every equation, table and figure once, files that exist, states with their reasons', (t) => {
  const [, section] = /^## What of the paper is here\n([\s\S]*?)^## /m.exec(readme)!;
  const rows = [...section.matchAll(/^\| (.*) \|$/gm)].map(([, row]) => row.split(' | ')).filter(([first]) => !/^(artefact|-+)/.test(first));
  const named = rows.flatMap(([artefact]) => (artefact.startsWith('Eq.') ? artefact.match(/2\.\d\d/g)! : [/^((CVPR )?Table [\d.]+|Fig\. [\d.]+(\([ab]\))?)/.exec(artefact)![1]]));
  const equations = Array.from({ length: 15 }, (_, i) => `2.${24 + i}`);
  t.deepEqual(named, [...equations, 'Table 2.2', 'Fig. 2.8', 'Fig. 2.9', 'Fig. 2.10', 'Fig. 2.11', 'Fig. 2.12(a)', 'Fig. 2.12(b)', 'CVPR Table 2', 'CVPR Table 3']);
  for (const [artefact, source, , tests, state, ...more] of rows) {
    t.deepEqual(more, [], artefact);
    t.regex(state, /^(done|in part: .{10,}|not yet)$/, artefact);
    if (state === 'not yet') continue;
    t.regex(source, /\(src\//, artefact);
    t.regex(tests, /\(test\/.*\.test\.ts\)/, artefact);
  }
});

test('every decision that source and notebooks quote is in the list of decisions', (t) => {
  const listed = [...readFileSync('data-manifests/paper/decisions.md', 'utf8').matchAll(/^\| (A\d+) \|/gm)].map(([, id]) => id);
  t.deepEqual(listed, Array.from({ length: 33 }, (_, i) => `A${i + 1}`));
  const files = ['src', 'notebooks'].flatMap((room) => readdirSync(room, { recursive: true, encoding: 'utf8' }).map((file) => path.join(room, file))).filter((file) => /\.(ts|ipynb)$/.test(file));
  const quoted = files.flatMap((file) => readFileSync(file, 'utf8').match(/(?<=decisions? (A\d+[-, A\d]*)?)A\d+/g) ?? []);
  t.true(quoted.length > 10);
  t.deepEqual(quoted.filter((id) => !listed.includes(id)), []);
});

test('numbers on the page are those of the program', (t) => {
  const groups = openBank(), sprites = countSprites(groups).reduce((sum, { sprites, unseenSprites }) => sum + sprites + unseenSprites, 0);
  const model = modelOf('minutes'), sizes = sizesOf('minutes', 'transformer');
  const [, { bits }] = startExperiment.grid({ family: 'detr', scale: 'minutes', seeds: [0] });
  const stated = [
    `${sprites.toLocaleString('en')} committed pictures of ${groups.groups.length} things`,
    `${model.imageSize} x ${model.imageSize} pixels, ${model.classes} classes`, `on ${sizes.train.toLocaleString('en')} training images`,
    `on ${sizes.test.toLocaleString('en')} images of \`test\``, `(${bits}) the paper's *Baseline*`,
  ];
  for (const text of stated) t.true(readme.includes(text), text);
});
