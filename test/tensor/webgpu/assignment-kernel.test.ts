/** The assignment as one program for each problem, on the machine's adapter (a software one will do). */
import { readFileSync } from 'node:fs';
import test from 'ava';
import fc from 'fast-check';
import { linearSumAssignment } from '../../../src/detection/hungarian.js';
import { plannedWhole } from '../../../src/tensor/compile-step.js';
import { linearAssignment } from '../../../src/tensor/linear-assignment.js';
import { RandomStream } from '../../../src/tensor/random.js';
import { shortestAugmentingPaths } from '../../../src/tensor/shortest-augmenting-paths.js';
import { tf } from '../../../src/tensor/tf.js';
import { trace, type StepFunction } from '../../../src/tensor/trace.js';
import { planGraph } from '../../../src/tensor/webgpu/plan.js';
import { GpuProgram } from '../../../src/tensor/webgpu/program.js';
import { draw } from '../compiled.js';
import { computed } from './computed.js';
import { testDevice } from './device.js';

const { gpu } = await testDevice();
const onDevice = gpu ? test.serial : test.serial.skip;

/** Costs [P][Q][G] and which boxes are real -> the query of each box, -1 for padding. */
type Assign = (cost: Float32Array, valid: Float32Array) => Promise<Int32Array>;

/** The compiled kernel for P problems of Q queries and G boxes. */
async function compiled([problems, queries, boxes]: readonly number[], use: (assign: Assign) => Promise<void>): Promise<void> {
  const plan = planGraph(trace(({ cost, valid }) => ({ y: linearAssignment(cost, valid) }), { cost: { shape: [problems, queries, boxes], dtype: 'float32' }, valid: { shape: [problems, boxes], dtype: 'float32' } }, { keeps: plannedWhole }), gpu);
  const program = await GpuProgram.create(gpu!, plan);
  try {
    await use(async (cost, valid) => {
      program.write(plan.inputs.get('cost')!, cost);
      program.write(plan.inputs.get('valid')!, valid);
      const [rows] = await program.read([{ place: plan.outputs.get('y')!, dtype: 'float32' }], (encoder) => program.encode(encoder));
      return Int32Array.from({ length: problems * boxes }, (_, row) => {
        const entries = rows.subarray(row * queries, (row + 1) * queries), others = entries.filter((v) => v !== 0);
        if (others.length > 1 || others.some((v) => v !== 1)) throw new Error(`row ${row} is not one-hot`);
        return entries.indexOf(1);
      });
    });
  } finally {
    program.dispose();
  }
}

/** How much more than the lowest total an assignment costs, relative to the sum of the costs' amounts; the largest of all problems. Throws where one is none. */
function excess([problems, queries, boxes]: readonly number[], cost: Float32Array, valid: Float32Array, assigned: Int32Array): number {
  let worst = 0;
  for (let p = 0; p < problems; p++) {
    const real = Array.from({ length: boxes }, (_, g) => g).filter((g) => valid[p * boxes + g] === 1), at = (q: number, g: number): number => cost[(p * queries + q) * boxes + g];
    const found = Array.from(assigned.subarray(p * boxes, (p + 1) * boxes));
    if (found.some((q, g) => q >= 0 !== real.includes(g)) || new Set(found.filter((q) => q >= 0)).size !== real.length) throw new Error(`problem ${p}: boxes ${real.join()} got queries ${found.join()}`);
    const { columns } = linearSumAssignment(real.flatMap((g) => Array.from({ length: queries }, (_, q) => at(q, g))), real.length, queries);
    const total = (of: (g: number, i: number) => number): number => real.reduce((sum, g, i) => sum + of(g, i), 0);
    worst = Math.max(worst, total((g, i) => at(found[g], g) - at(columns[i], g)) / Math.max(1, total((g, i) => Math.abs(at(columns[i], g)))));
  }
  return worst;
}

onDevice('by hand: the second box takes the first one\'s favourite, which moves on; padding gets nothing', async (t) => {
  await compiled([3, 3, 2], async (assign) => {
    const cost = [1, 1, 2, 9, 8, 9]; // [query][box]
    t.deepEqual([...await assign(Float32Array.from([...cost, ...cost, ...cost]), Float32Array.of(1, 1, 1, 0, 0, 0))], [1, 0, 0, -1, -1, -1]); // 2 + 1, not 1 + 9
  });
});

onDevice('by hand: three boxes and three queries, one best way, through a path of three', async (t) => {
  await compiled([1, 3, 3], async (assign) => {
    // box 0: 1 2 9, box 1: 1 3 2, box 2: 2 9 9: total 2 + 2 + 2 = 6; every other way costs 12 or more
    t.deepEqual([...await assign(Float32Array.of(1, 1, 2, 2, 3, 9, 9, 2, 9), Float32Array.of(1, 1, 1))], [1, 2, 0]);
  });
});

onDevice('of equally good queries the lowest: equal costs give box k the query k, one box the first of equal ones', async (t) => {
  await compiled([2, 40, 12], async (assign) => {
    const cost = new Float32Array(960).fill(2.5), valid = new Float32Array(24).fill(1);
    valid[12] = 0;
    t.deepEqual([...await assign(cost, valid)], [...Array.from({ length: 12 }, (_, g) => g), -1, ...Array.from({ length: 11 }, (_, g) => g)]);
    cost.fill(-1, 480 + 7 * 12).fill(0, 480 + 30 * 12);
    valid.fill(0, 13).fill(1, 15, 16);
    t.deepEqual([...(await assign(cost, valid)).subarray(12)], Array.from({ length: 12 }, (_, g) => (g === 3 ? 7 : -1)));
  });
});

const DRAWS: Record<string, (random: RandomStream) => number> = {
  'normal numbers': (s) => s.normal(), 'integers, many equal': (s) => s.integer(4), 'all equal': () => 1.5, 'costs of a detector': (s) => 5 * s.uniform() - 2 * s.uniform(-1, 1) - s.uniform(),
  'far from zero': (s) => 1000 + s.normal(), 'of all magnitudes': (s) => s.normal() * 10 ** s.uniform(-4, 4),
};
for (const sizes of [[7, 1, 1], [5, 6, 6], [96, 25, 6], [4, 100, 33], [2, 300, 100], [1, 60, 60]]) {
  onDevice(`${sizes[0]} problems of ${sizes[1]} queries and ${sizes[2]} boxes: within 1e-5 of the lowest total, whatever the costs`, async (t) => {
    const random = new RandomStream(11, sizes[1]);
    await compiled(sizes, async (assign) => {
      const [problems, queries, boxes] = sizes;
      for (const [name, draw] of Object.entries(DRAWS)) {
        const cost = Float32Array.from({ length: problems * queries * boxes }, () => draw(random)), valid = Float32Array.from({ length: problems * boxes }, () => Number(random.uniform() < 0.8));
        const more = excess(sizes, cost, valid, await assign(cost, valid));
        t.true(more <= (name === 'integers, many equal' || name === 'all equal' ? 0 : 1e-5), `${name}: ${more}`);
      }
    });
  });
}

onDevice('small problems of any costs and padding: the lowest total', async (t) => {
  const sizes = [4, 5, 3];
  await compiled(sizes, async (assign) => {
    const costs = fc.array(fc.integer({ min: -3, max: 3 }), { minLength: 60, maxLength: 60 }), valid = fc.array(fc.integer({ min: 0, max: 1 }), { minLength: 12, maxLength: 12 });
    await fc.assert(fc.asyncProperty(costs, valid, async (c, v) => excess(sizes, Float32Array.from(c), Float32Array.from(v), await assign(Float32Array.from(c), Float32Array.from(v))) === 0), { numRuns: 60 });
  });
  t.pass();
});

onDevice('problems of scipy of 100 rows and 6 columns, and of 40 and 40: its totals', async (t) => {
  const { problems } = JSON.parse(readFileSync('test/fixtures/linear-sum-assignment.json', 'utf8')) as { problems: [number, number, number, number, number, number[]][] };
  for (const [queries, boxes] of [[100, 6], [40, 40]]) {
    const chosen = problems.filter(([rows, columns]) => rows === queries && columns === boxes), cost = new Float32Array(chosen.length * queries * boxes);
    t.true(chosen.length >= 10);
    chosen.forEach(([, , seed, limit], p) => {
      let state = seed;
      for (let k = 0; k < queries * boxes; k++) {
        state = (Math.imul(1664525, state) + 1013904223) >>> 0;
        cost[p * queries * boxes + k] = (state >>> 8) % limit;
      }
    });
    await compiled([chosen.length, queries, boxes], async (assign) => {
      const assigned = await assign(cost, new Float32Array(chosen.length * boxes).fill(1));
      chosen.forEach(([, , , , optimum], p) => {
        const total = Array.from(assigned.subarray(p * boxes, (p + 1) * boxes)).reduce((sum, q, g) => sum + cost[(p * queries + q) * boxes + g], 0);
        t.is(total, optimum);
      });
    });
  }
});

onDevice('two assignments of unequal sizes that share a dispatch are both right', async (t) => {
  const random = new RandomStream(12), inputs = draw({ a: { shape: [3, 25, 6] }, b: { shape: [2, 33, 12] }, valid: { shape: [3, 6], draw: () => random.integer(2) } });
  const f: StepFunction = ({ a, b, valid }) => ({ a: linearAssignment(a, valid), b: linearAssignment(b, tf.ones([2, 12])) });
  t.deepEqual(planGraph(trace(f, inputs, { keeps: plannedWhole }), { ...gpu!, stacked: 8 }).kernels.map(({ kind }) => kind), ['stack']);
  const found = await computed(gpu!, f, inputs, { limits: { ...gpu!, stacked: 8 } });
  for (const [name, [problems, queries, boxes], isBox] of [['a', [3, 25, 6], inputs.valid.data], ['b', [2, 33, 12], new Float32Array(24).fill(1)]] as const) {
    const cost = inputs[name].data as Float32Array;
    for (let p = 0; p < problems; p++) {
      const wanted = shortestAugmentingPaths(cost.subarray(p * queries * boxes, (p + 1) * queries * boxes), (row) => isBox[p * boxes + row] === 1, queries, boxes);
      t.deepEqual(Array.from(wanted, (_, row) => found[name].subarray((p * boxes + row) * queries, (p * boxes + row + 1) * queries).indexOf(1)), [...wanted]);
    }
  }
});

onDevice('costs that are no numbers end in some assignment, not in a search without end', async (t) => {
  await compiled([1, 5, 4], async (assign) => {
    const assigned = await assign(new Float32Array(20).fill(NaN), new Float32Array(4).fill(1));
    t.is(new Set(assigned).size, 4);
    t.true(assigned.every((q) => q >= 0));
  });
});
