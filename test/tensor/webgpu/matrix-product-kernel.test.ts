/** Products in f16 by subgroup matrices: their programs by Dawn's compiler, their arithmetic by an emulation of the matrix units on the machine's adapter. */
import test from 'ava';
import { plannedWhole } from '../../../src/tensor/compile-step.js';
import { trace } from '../../../src/tensor/trace.js';
import { OPTIONS } from '../../../src/tensor/webgpu/adapter.js';
import type { PlanLimits, Tiles } from '../../../src/tensor/webgpu/kernel.js';
import { matrixTilesFor } from '../../../src/tensor/webgpu/matrix-product-kernel.js';
import { matrixUnitsOf, type MatrixUnits } from '../../../src/tensor/webgpu/matrix-units.js';
import { LEAST_LIMITS, planGraph, type Plan } from '../../../src/tensor/webgpu/plan.js';
import { tf } from '../../../src/tensor/tf.js';
import { computed } from './computed.js';
import { testDevice } from './device.js';
import { HALF_TOLERANCE, elementsOfCase, productCases, relativeDistance, type ProductCase } from './matrix-product-cases.js';

const { gpu } = await testDevice();
const onDevice = gpu?.device.features.has('shader-f16') ? test.serial : test.serial.skip;

const NVIDIA: MatrixUnits = { rows: 16, columns: 16, inner: 16, threads: 32 };
const planned = ({ f, inputs }: ProductCase, limits: PlanLimits): Plan => planGraph(trace(f, Object.fromEntries(Object.entries(inputs).map(([name, shape]) => [name, { shape, dtype: 'float32' as const }])), { keeps: plannedWhole }), limits);

test('what an adapter lacks is said; of its matrix units the largest for f16 with sums of f32 are taken', (t) => {
  const units = (features: string[], info: object): MatrixUnits | string => matrixUnitsOf({ features: new Set(features), info });
  const all = ['shader-f16', 'subgroups', 'chromium-experimental-subgroup-matrix'];
  const configuration = (componentType: string, resultComponentType: string, M: number, N: number, K: number): object => ({ componentType, resultComponentType, M, N, K });
  const subgroupMatrixConfigs = new Set([configuration('u8', 'u32', 16, 16, 32), configuration('f16', 'f32', 16, 8, 16), configuration('f16', 'f16', 16, 16, 16), configuration('f16', 'f32', 16, 16, 16)]);
  t.deepEqual(units(all, { subgroupMinSize: 32, subgroupMaxSize: 32, subgroupMatrixConfigs }), NVIDIA);
  t.is(units(['subgroups'], {}), 'its adapter has no f16, no subgroup matrices');
  t.is(units(all, { subgroupMinSize: 32, subgroupMaxSize: 32, subgroupMatrixConfigs: [configuration('f16', 'f16', 16, 16, 16)] }), 'its adapter has no subgroup matrices of f16 with sums of f32');
  t.is(units(all, { subgroupMinSize: 8, subgroupMaxSize: 32, subgroupMatrixConfigs }), "its adapter's subgroups are of 8 to 32 threads, not of one size");
});

const inHalf = (plan: Plan): boolean[] => plan.kernels.filter(({ label }) => label.includes('BatchMatMul')).map(({ code }) => code.includes('subgroupMatrixMultiplyAccumulate'));

test('large products are of f16 where the plan may use matrix units; small and narrow ones, and selections, stay of f32', (t) => {
  const limits = { ...LEAST_LIMITS, matrixUnits: NVIDIA };
  const product = (a: number[], b: number[], f: ProductCase['f'] = (x) => ({ y: tf.matMul(x.a, x.b) })): boolean[] => inHalf(planned({ inputs: { a, b }, f }, limits));
  t.deepEqual(product([256, 256], [256, 256]), [true]);
  t.deepEqual(inHalf(planned({ inputs: { a: [256, 256], b: [256, 256] }, f: ({ a, b }) => ({ y: tf.matMul(a, b) }) }, LEAST_LIMITS)), [false]);
  t.deepEqual(product([128, 128], [128, 128]), [false], 'small');
  t.deepEqual(product([4096, 1024], [1024, 4]), [false], 'four columns: boxes');
  t.deepEqual(product([1024, 512], [512], ({ a, b }) => ({ y: tf.matMul(a, tf.oneHot(tf.cast(b, 'int32'), 64)) })), [false], 'a selection');
});

/** Bytes of each array that a workgroup shares. */
const sharedArrays = (code: string): number[] => [...code.matchAll(/var<workgroup> \w+: array<(.*?), (\d+)>/g)].map(([, type, length]) => (type === 'f16' ? 2 : 4) * Number(length));
const sharedBytes = (code: string): number => sharedArrays(code).reduce((sum, bytes) => sum + bytes, 0);

test('a product by matrix units takes no more shared memory than the device has', (t) => {
  const bytes = (limit: number): number => Math.max(...planned({ inputs: { a: [4096, 128], b: [128, 1024] }, f: ({ a, b }) => ({ y: tf.matMul(a, b) }) }, { ...LEAST_LIMITS, matrixUnits: NVIDIA, sharedBytes: limit }).kernels.map(({ code }) => sharedBytes(code)));
  t.true(bytes(16384) > 8192 && bytes(16384) <= 16384);
  t.true(bytes(32768) > 16384 && bytes(32768) <= 32768);
});

test('tiles: large ones where there are enough of them for all of a large GPU', (t) => {
  const sides = ({ rows, columns }: Tiles): string => `${rows} x ${columns}`;
  t.is(sides(matrixTilesFor(1, 4096, 4096)), '128 x 128');
  t.is(sides(matrixTilesFor(1, 65536, 64)), '128 x 64');
  t.is(sides(matrixTilesFor(1, 65536, 20)), '128 x 32');
  t.is(sides(matrixTilesFor(1, 256, 256)), '64 x 32');
  t.is(sides(matrixTilesFor(64, 256, 256)), '128 x 128');
});

const SIZES: Tiles[] = [[1, 4096, 4096], [1, 65536, 64], [1, 65536, 20], [1, 4096, 64 * 3], [1, 256, 256]].map(([P, M, N]) => matrixTilesFor(P, M, N));
const UNITS: MatrixUnits[] = [NVIDIA, { rows: 8, columns: 8, inner: 8, threads: 32 }, { rows: 8, columns: 16, inner: 16, threads: 16 }];

test("Dawn's compiler takes the programs of every case, for every size of tiles and of matrix units, without a warning", async (t) => {
  const dawn = await import('webgpu').catch(() => undefined);
  if (!dawn) {
    t.pass('skipped: npm package webgpu does not load');
    return;
  }
  Object.assign(globalThis, dawn.globals);
  const compiler = dawn.create(['backend=null', ...OPTIONS]); // compiles, computes nothing; devices live as long as it does
  const adapter = (await compiler.requestAdapter())!;
  const device = await adapter.requestDevice({ requiredFeatures: ['shader-f16', 'subgroups', 'chromium-experimental-subgroup-matrix'] as GPUFeatureName[] });
  const programs = new Set<string>();
  for (const c of Object.values(productCases)) for (const matrixUnits of UNITS) for (const matrixTiles of [...SIZES, undefined]) {
    for (const { code } of planned(c, { ...LEAST_LIMITS, sharedBytes: 32768, matrixUnits, matrixTiles }).kernels) if (code.includes('subgroupMatrix')) programs.add(code);
  }
  t.true(programs.size > 50, `${programs.size} programs`);
  for (const code of programs) {
    t.true(sharedArrays(code).length > 3 && sharedArrays(code).every((bytes) => bytes % 128 === 0), `every matrix lies at a multiple of 16 bytes, in whatever order a driver lays the arrays: ${sharedArrays(code).join(', ')}`);
    device.pushErrorScope('validation');
    const { messages } = await device.createShaderModule({ code }).getCompilationInfo();
    const invalid = await device.popErrorScope();
    if (invalid || messages.length > 0) t.fail(`${invalid?.message ?? messages[0].message}\n${code}`);
  }
  device.destroy();
  t.truthy(compiler);
});

const EMULATED: MatrixUnits = { rows: 16, columns: 16, inner: 8, threads: 64, emulated: true };
const TILES: Tiles = { rows: 32, columns: 64, inner: 16, height: 32, width: 32 };

for (const [name, c] of Object.entries(productCases)) {
  if (c.compilesSlowly && gpu?.isSoftware) continue;
  onDevice(`emulated matrix units: ${name}`, async (t) => {
    const inputs = elementsOfCase(c), plain = { ...gpu!, matrixUnits: undefined };
    const wanted = await computed(gpu!, c.f, inputs, { limits: plain });
    const got = await computed(gpu!, c.f, inputs, { limits: { ...plain, matrixUnits: EMULATED, matrixTiles: TILES, stacked: 8 } });
    for (const [output, values] of Object.entries(wanted)) {
      const apart = relativeDistance(got[output], values);
      t.true(c.isExact ? apart === 0 : apart > 0 && apart < HALF_TOLERANCE, `${output}: ${apart}`);
    }
  });
}
