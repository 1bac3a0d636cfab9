import type { Command } from 'commander';
import { Option } from 'commander';
import { counted } from '../counted.js';
import { UserError } from '../errors.js';
import { planTraining, type TrainingPlan } from '../experiments/plan-training.js';
import { FAMILIES, familyTitles, type Family } from '../models/settings.js';
import { isReal } from '../quantizer/precision.js';
import { findEngine } from '../tensor/engine.js';
import { mayHaveGraphicsProcessor } from '../tensor/webgpu/adapter.js';
import type { PlanLimits } from '../tensor/webgpu/kernel.js';
import { H100, planCost, type PlanCost } from '../tensor/webgpu/plan-cost.js';
import { LEAST_LIMITS } from '../tensor/webgpu/plan.js';
import { SCALES, type TrainingSettings } from '../training/settings.js';
import { parseBitsOption } from './bits-option.js';
import { optionalWholeNumber } from './whole-number-option.js';

interface PlanCommandOptions {
  scale: TrainingSettings['scale'];
  bits: string;
  model: Family;
  batch?: string;
  distill?: boolean;
  json?: boolean;
  kernels?: boolean;
}

/** `qdetr plan`: what a detector's training step is on WebGPU, without training and without a GPU. */
export function planCommand(program: Command): void {
  program
    .command('plan')
    .description("what one training step is on a GPU: kernels, operations, bytes, memory, an estimate of its time; needs no GPU")
    .addOption(new Option('--scale <scale>', "size of the model; paper: the paper's own, at 800 x 800 pixels (takes a minute or two)").choices(SCALES).default('gpu'))
    .option('--bits <w-a-attention>', 'bits of weights, activations and attention, e.g. 4-4-8', '32-32-32')
    .addOption(new Option('--model <family>', 'detection transformer').choices(FAMILIES).default('detr'))
    .option('--batch <images>', "images of a step; default: the scale's")
    .option('--distill', 'with teacher, distribution alignment, query matching and distillation loss')
    .option('--kernels', 'list every kernel')
    .option('--json', 'print one JSON object')
    .action(async (options: PlanCommandOptions) => {
      const { scale, bits, model: family, batch, distill: isDistilled = false } = options;
      const precision = parseBitsOption(bits);
      if (isDistilled && Object.values(precision).every(isReal)) throw new UserError(`--distill: ${bits} quantizes nothing: give low bits, such as --bits 4-4-8, or leave it out`);
      const { limits, device } = await planningLimits();
      const planned = await planTraining({ scale, family, bits, batchSize: optionalWholeNumber('--batch', batch), isDistilled, limits });
      const cost = planCost(planned.plan);
      console.log(options.json ? planJson(options, planned, cost, limits) : planText(options, planned, cost, device));
    });
}

/** The limits of the machine's GPU, or those that every device of WebGPU has. */
async function planningLimits(): Promise<{ limits: PlanLimits; device: string }> {
  const gpu = mayHaveGraphicsProcessor() ? (await findEngine('webgpu')).gpu : undefined;
  const limits = gpu ?? LEAST_LIMITS;
  return { limits, device: `${gpu ? gpu.adapter.device || gpu.adapter.description : 'the least device of WebGPU'} (${limits.buffers} buffers a kernel)` };
}

const UNITS = ['', 'k', 'M', 'G', 'T'] as const;

/** A number with three digits and its unit: 12.3 G. */
export function inUnits(value: number, unit: string): string {
  const power = value < 1000 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log10(value) / 3 + 1e-12)), scaled = value / 1000 ** power;
  const digits = power === 0 || scaled >= 99.95 ? 0 : scaled >= 9.995 ? 1 : 2;
  return `${scaled.toFixed(digits)} ${UNITS[power]}${unit}`.trimEnd();
}

const milliseconds = (seconds: number): string => `${(1000 * seconds).toFixed(seconds < 0.1 ? 2 : 0)} ms`;
const count = (n: number): string => n.toLocaleString('en');

/** The words for the kinds of kernels. */
const KINDS: Readonly<Record<string, string>> = { map: 'element by element', reduction: 'sums', product: 'matrix products', stack: 'several small ones in one', whole: 'named kernels taken whole' };

function planText({ scale, bits, model: family, distill, kernels: isListed }: PlanCommandOptions, { plan, model, batchSize, trained }: TrainingPlan, cost: PlanCost, device: string): string {
  const row = (label: string, text: string): string => `  ${label.padEnd(20)}${text}`;
  const { secondsBy, seconds } = cost;
  const share = (part: number): string => `${Math.round((100 * part) / seconds)} %`;
  return [
    `One training step of ${familyTitles[family]} ${bits}, scale ${scale}, on ${counted(batchSize, 'image')} of ${model.imageSize} x ${model.imageSize}${distill ? ', with teacher, DA, FQM and DRD' : ''}`,
    `Planned for ${device}`,
    '',
    row('trained', `${count(trained)} parameters`),
    row('kernels', `${count(plan.kernels.length)}, of ${count(plan.nodes)} operations of the traced step; ${count(cost.programs)} programs differ`),
    ...Object.entries(cost.byKind).sort(([, a], [, b]) => b - a).map(([kind, n]) => row('', `${count(n).padStart(6)} ${KINDS[kind] ?? kind}`)),
    row('arithmetic', `${inUnits(cost.products, '')} operations in matrix products and convolutions, about ${inUnits(cost.others, '')} elsewhere`),
    row('traffic', `${inUnits(cost.read, 'B')} read, ${inUnits(cost.written, 'B')} written (values of a few kB aside)`),
    row('memory', `${inUnits(cost.memory, 'B')} with buffers used again, ${inUnits(cost.memoryWithoutReuse, 'B')} without`),
    row('time, estimated', `${milliseconds(seconds)} on one ${H100.device}`),
    row('', `${share(secondsBy.start)} in kernels bound by their start, ${share(secondsBy.memory)} by memory, ${share(secondsBy.arithmetic)} by arithmetic`),
    '',
    `An estimate, not a measurement: each kernel takes the longest of its start (${1e6 * H100.secondsPerKernel} microseconds),`,
    `its bytes (${inUnits(H100.bytesPerSecond, 'B')} a second) and its products (${inUnits(H100.productsPerSecond, '')} operations a second), rates that`,
    'kernels of this kit were measured to reach on such a card.',
    ...(isListed ? ['', ...kernelList(plan, cost)] : []),
  ].join('\n');
}

const LABEL = 47;

/** A line for each kernel, in the order in which they run. */
function kernelList({ kernels }: TrainingPlan['plan'], cost: PlanCost): string[] {
  const line = (...[n, kind, label, operations, bytes, time]: string[]): string => `${n.padStart(5)}  ${kind.padEnd(9)}  ${label.padEnd(LABEL)}  ${operations.padStart(7)}  ${bytes.padStart(8)}  ${time.padStart(9)}`;
  return [
    line('', 'kind', 'computes', 'ops', 'bytes', 'estimate'),
    ...kernels.map(({ kind, label, operations }, k) => {
      const { read, written, seconds } = cost.kernels[k];
      return line(String(k + 1), kind, label.length > LABEL ? `${label.slice(0, LABEL - 1)}…` : label, inUnits(operations, ''), inUnits(read + written, 'B'), `${(1e6 * seconds).toFixed(1)} us`);
    }),
  ];
}

function planJson({ scale, bits, model: family, distill = false, kernels: isListed }: PlanCommandOptions, { plan, batchSize, trained }: TrainingPlan, { kernels, ...cost }: PlanCost, { buffers }: PlanLimits): string {
  const list = plan.kernels.map(({ kind, label, workgroups, operations }, k) => ({ kind, label, workgroups, operations, ...kernels[k] }));
  return JSON.stringify({ scale, model: family, bits, batch: batchSize, distilled: distill, buffersPerKernel: buffers, trained, nodes: plan.nodes, kernels: plan.kernels.length, ...cost, rates: H100, ...(isListed ? { list } : {}) });
}
