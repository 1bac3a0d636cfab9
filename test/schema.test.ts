import test from 'ava';
import fc from 'fast-check';
import { z } from 'zod';
import { UserError } from '../src/errors.js';
import { nearestName, parseStrictly } from '../src/schema.js';

const schema = z.object({
  steps: z.number().int().describe('a whole number'),
  engine: z.object({ name: z.string(), version: z.string().describe('a version') }).strict(),
  note: z.string().optional().describe('a text'),
}).strict();

const good = { steps: 3, engine: { name: 'x', version: '1' } };
const parse = (data: unknown) => parseStrictly(schema, data, 'run.json', 'delete it');

test('sound data comes back', (t) => {
  t.deepEqual(parse(good), good);
});

test('an error names file, key, what was expected, what was found, and the way out', (t) => {
  const cases: [unknown, string][] = [
    [{ ...good, steps: 'many' }, `run.json: 'steps' should be a whole number, but is "many": delete it`],
    [{ ...good, steps: 1.5 }, "run.json: 'steps' should be a whole number, but is 1.5: delete it"],
    [{ engine: good.engine }, "run.json: 'steps' should be a whole number, but is missing: delete it"],
    [{ ...good, step: 3 }, "run.json: 'step' is unknown, did you mean 'steps'?: delete it"],
    [{ ...good, colour: 3 }, "run.json: 'colour' is unknown, the keys are steps, engine, note: delete it"],
    [{ ...good, engine: { name: 'x', version: 2 } }, "run.json: 'engine.version' should be a version, but is 2: delete it"],
    [{ ...good, engine: { name: 'x', version: '2', versoin: 1 } }, "run.json: 'engine.versoin' is unknown, did you mean 'version'?: delete it"],
    [{ ...good, engine: null }, "run.json: 'engine' is null (Expected object, received null): delete it"],
    [{ ...good, note: ['a'.repeat(80)] }, `run.json: 'note' should be a text, but is ["${'a'.repeat(55)}...: delete it`],
    [[], 'run.json: it is [] (Expected object, received array): delete it'],
    [undefined, 'run.json: it is missing (Required): delete it'],
  ];
  for (const [data, message] of cases) t.throws(() => parse(data), { instanceOf: UserError, message });
});

test('whatever the data, the outcome is a value or a UserError in one line', (t) => {
  fc.assert(fc.property(fc.anything(), (data) => {
    try {
      parse(data);
    } catch (error) {
      t.true(error instanceof UserError && !error.message.includes('\n'), String(error));
    }
  }));
  t.pass();
});

test('the nearest name', (t) => {
  const known = ['learningRate', 'steps', 'batchSize'];
  t.is(nearestName('learning_rate', known), 'learningRate');
  t.is(nearestName('batchsize', known), 'batchSize');
  t.is(nearestName('stpe', known), 'steps');
  t.is(nearestName('quantizer', known), undefined);
  t.is(nearestName('x', []), undefined);
});
