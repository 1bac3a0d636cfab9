import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { UserError } from '../../src/errors.js';
import { figure28 } from '../../src/figures/figure-2.8.js';
import { commonShare, figure29 } from '../../src/figures/figure-2.9.js';
import { observationRecords, observedGroup, weightsOf, type Observations } from '../../src/figures/observation-records.js';
import { compileFigure, figureToSvg, renderFigure, type Figure } from '../../src/figures/render.js';
import { madeUpObservation } from './observation.js';

const real = madeUpObservation({ method: 'Real-valued', bits: '32-32-32' });
const baseline = madeUpObservation({ method: 'Baseline', bits: '4-4-8' });
const aligned = madeUpObservation({ method: '+ DA', bits: '4-4-8' });
const figures: Record<string, (observations: Observations) => Figure> = { 'figure-2.8': figure28, 'figure-2.9': figure29 };
const states: Record<string, Observations> = {
  full: { recorded: [aligned, real, baseline], fresh: [baseline] },
  'transformer only': { recorded: [], fresh: [{ ...real, scope: 'transformer' }, { ...baseline, bits: '2-2-8', scope: 'transformer' }] },
  empty: { recorded: [], fresh: [] },
};

for (const [name, figure] of Object.entries(figures)) {
  for (const [state, observations] of Object.entries(states)) {
    test(`${name}, ${state}: compiles without warnings and draws finite numbers only`, async (t) => {
      const warnings: string[] = [];
      compileFigure(figure(observations), (message) => warnings.push(message));
      t.deepEqual(warnings, []);
      t.notRegex(await figureToSvg(figure(observations)), /NaN|Infinity|undefined|null/);
    });
  }
}

test('Fig. 2.8 names runs, layers, entropies, what the alignment changed, and that nothing is the paper\'s', async (t) => {
  const svg = await figureToSvg(figure28(states.full));
  for (const text of ['Real-valued', 'Baseline', '+ DA', '4-4-8', 'Decoder layer 0', 'Decoder layer 1', 'σ 2.50', 'H 2.34 nats', 'codes 7.25 bits', 'before:', 'σ 3.00', 'Recorded by this kit', 'Fresh, made here', 'prints no numbers']) t.true(svg.includes(text), text);
  const transformer = await figureToSvg(figure28(states['transformer only']));
  t.true(transformer.includes('only the transformer at low bits') && transformer.includes(`scale '${real.scale}'`));
});

test('each row names bits, seed and the run whose weights it shows; each section data set and scale; an empty figure the command that fills it', async (t) => {
  for (const [name, figure] of Object.entries(figures)) {
    const svg = await figureToSvg(figure(states.full));
    for (const text of [`>4-4-8, seed ${baseline.seed}<`, `>32 bits, seed ${real.seed}<`, `>${weightsOf(baseline.id)}<`, `>${weightsOf(real.id)}<`, `scale '${real.scale}'`, 'MiniVOC']) t.true(svg.includes(text), `${name}: ${text}`);
    const empty = await figureToSvg(figure(states.empty));
    for (const text of ['Nothing observed yet', `>npx qdetr experiment ${name} --scale minutes<`]) t.true(empty.includes(text), text);
  }
});

test('Fig. 2.9 shows the picture with the object, a map for each head, and what it shares with the real-valued one', async (t) => {
  const svg = await figureToSvg(figure29(states.full));
  for (const text of ['Head 0', 'Head 1', 'cat 80 %', 'overlap 70 %', 'overlap 100 %']) t.true(svg.includes(text), text);
  t.is(svg.match(/<image /g)!.length, 3 * 3 + 3); // recorded: three runs, each the picture and two heads; fresh: one run
  const { png } = await renderFigure(figure29(states.full), 1);
  t.true(png.length > 10_000);
  t.false((await figureToSvg(figure29({ recorded: [real], fresh: [] }))).includes('overlap 1'));
});

test('runs that saw another picture are not drawn side by side', async (t) => {
  const other = { ...baseline, pictures: [{ id: 'test-000000', size: 4, rgb: Buffer.alloc(48, 9).toString('base64') }] };
  t.true((await figureToSvg(figure29({ recorded: [real, other], fresh: [] }))).includes('Nothing observed yet'));
});

test('the overlap of two maps: all of it, none, and a part', (t) => {
  t.is(commonShare([0.5, 0.5], [0.5, 0.5]), 1);
  t.is(commonShare([1, 0], [0, 1]), 0);
  t.is(Number(commonShare([0.7, 0.1, 0.1, 0.1], [0.4, 0.4, 0.1, 0.1]).toFixed(6)), 0.7);
});

test('one bit-width is shown, the paper\'s 4-4-8 first; each method once, its lowest seed, in the order of tables', (t) => {
  const runs = [{ ...baseline, seed: 2, id: 'later' }, aligned, { ...baseline, bits: '2-2-8', id: 'two' }, baseline, real];
  const group = observedGroup('figure-2.8', runs)!;
  t.is(group.bits, '4-4-8');
  t.deepEqual(group.runs.map(({ method, seed }) => [method, seed]), [['Real-valued', 1], ['Baseline', 1], ['+ DA', 1]]);
  t.is(observedGroup('figure-2.8', [{ ...baseline, bits: '2-2-8' }])!.bits, '2-2-8');
  t.is(observedGroup('figure-2.9', [{ ...baseline, artefact: ['figure-2.8'] }]), null);
});

test('observations are read from figures/recorded and from run folders; a damaged one is named with its key', (t) => {
  const at = mkdtempSync(path.join(tmpdir(), 'qdetr-observations-'));
  const recorded = path.join(at, 'recorded'), fresh = path.join(at, 'runs');
  mkdirSync(recorded);
  for (const id of ['aaaa', 'bbbb']) mkdirSync(path.join(fresh, id), { recursive: true });
  writeFileSync(path.join(recorded, 'observations-figure-2.8.json'), JSON.stringify(real));
  writeFileSync(path.join(recorded, 'start.jsonl'), 'no observation');
  writeFileSync(path.join(fresh, 'aaaa/observations.json'), JSON.stringify(baseline));
  const read = observationRecords({ recorded, fresh });
  t.deepEqual(read, { recorded: [real], fresh: [baseline] });
  writeFileSync(path.join(fresh, 'bbbb/observations.json'), JSON.stringify({ ...baseline, images: 'many' }));
  t.throws(() => observationRecords({ recorded, fresh }), { instanceOf: UserError, message: /bbbb\/observations\.json: 'images' should be a whole number of at least 0, but is "many"/ });
  t.deepEqual(observationRecords({ recorded: '/nowhere', fresh: '/nowhere' }), { recorded: [], fresh: [] });
});

test('weights are named by their run, or as a notebook names them', (t) => {
  t.is(weightsOf('0123456789ab'), 'weights of run 0123456789ab');
  t.is(weightsOf('the shipped weights'), 'the shipped weights');
});
