/**
 * One training on the CPU, and at states of it, spread over its course, loss and gradients on both engines. What is trained does not depend on the GPU: it looks
 * at the states, and nothing of it goes back.
 */
import { OBJECTS_PER_IMAGE } from '../../src/data/batches.js';
import { resolveDistillation, type DistillationSettings } from '../../src/distillation/settings.js';
import { detectorRun, openData, quantizationOf, splitSizes, type DetectorData, type DetectorRunOptions, type RunTeacher } from '../../src/experiments/detector-run.js';
import { hasShippedWeights, shippedName } from '../../src/experiments/shipped-weights.js';
import { startingWeights } from '../../src/experiments/starting-weights.js';
import { PAPER_ALIGNMENT } from '../../src/models/distribution-alignment.js';
import { initialDetectorParameters } from '../../src/models/initial-parameters.js';
import { modelOf, teacherModelOf, type DetectorSettings, type ModelScale } from '../../src/models/settings.js';
import type { Levels } from '../../src/quantizer/levels.js';
import { compileStep, type CompiledStep, type StateStep } from '../../src/tensor/compile-step.js';
import type { EngineFinding } from '../../src/tensor/engine.js';
import type { TensorSpec, TypedArray } from '../../src/tensor/graph.js';
import type { ParameterValues } from '../../src/tensor/parameters.js';
import { RandomStream } from '../../src/tensor/random.js';
import type { Tensor } from '../../src/tensor/tf.js';
import { compileTraining, startingState } from '../../src/training/compiled-training.js';
import { detectionObjective, type LossParts } from '../../src/training/detection-task.js';
import { packLayout, packTensors, unpack, type GroupLayout } from '../../src/training/parameter-groups.js';
import { resolveSettings } from '../../src/training/settings.js';
import type { TrainingTask } from '../../src/training/train.js';
import { differentiate, packState, type ObjectiveFunction, type TrainingState } from '../../src/training/training-step.js';
import { difference, stateLine, type Results, type StateAgreement } from './agreement-statistics.js';
import { decisionCalls, inPlaceOf } from './decision-calls.js';
import { assignmentFlips, decisionOutputs, decisionsOf, partnerFlips, selectionFlips, type DecisionShapes } from './decisions.js';
import { awayFromBoundaries, awayFromZero, RELU, roundingFlips, signFlips, stepRoundings, type QuantizerValues } from './roundings.js';

/** What is trained, and where it is looked at. */
export interface AgreementOptions {
  scale: ModelScale;
  bits: string;
  /** Steps of the training, and states of it. */
  steps: number;
  states: number;
  /** Engines: the training's own, and the one that is compared. The process has to have chosen the first. */
  cpu: EngineFinding;
  gpu: EngineFinding;
  /** Left out: {@link agreementData}. */
  data?: DetectorData;
  /** In the place of the scale's batch. */
  batchSize?: number;
  /** Changes the models of student and teacher. */
  model?(settings: DetectorSettings): DetectorSettings;
  tell?(text: string): void;
  /** Is shown the states so far after each. */
  each?(states: readonly StateAgreement[]): void;
}

/** Steps before which states are looked at: `count` of 0..steps - 1, evenly spread. */
export const statesOf = (steps: number, count: number): number[] => Array.from({ length: Math.min(count, steps) }, (_, i) => Math.floor((i * steps) / Math.min(count, steps)));

/** Training images, at most: each is composed before it is first seen. */
const IMAGES = 1600;

/** What is trained on: the first of the scale's images. */
export const agreementData = (scale: ModelScale): DetectorData => openData(modelOf(scale), { ...splitSizes[scale], train: Math.min(splitSizes[scale].train, IMAGES) });

/** A student with DA, FQM and DRD; its weights and its teacher's are the project's where it has some of this scale, else random. */
function studentOptions({ scale, bits, steps, batchSize, data = agreementData(scale), model: change = (settings) => settings }: AgreementOptions): DetectorRunOptions & { distillation: { settings: DistillationSettings; teacher: RunTeacher } } {
  const model = change(modelOf(scale)), teacherModel = change(teacherModelOf(scale)), name = shippedName(scale, 'detr'), teacherName = shippedName(scale, 'detr', '-teacher');
  const training = resolveSettings(scale, { steps, ...(batchSize === undefined ? {} : { batchSize }) });
  const teacher = hasShippedWeights(teacherName) ? startingWeights('shipped', teacherModel, teacherName) : { id: 'random', parameters: initialDetectorParameters(teacherModel, new RandomStream(9)) };
  return {
    experiment: 'agreement', method: 'agreement', bits, scale, artefact: [], model, training, data, batchStatistics: true,
    from: hasShippedWeights(name) ? startingWeights('shipped', model, name) : undefined, alignment: PAPER_ALIGNMENT,
    distillation: { settings: resolveDistillation({}), teacher: { ...teacher, model: teacherModel } },
  };
}

const GRADIENT = 'gradient/', LOGGED = 'logged/', READ = 'read/', GIVEN = 'given/', HELD = 'held/';

/** Loss, numbers for the log, packed gradients, and what else the objective gives, of a batch. */
const gradientStep = (layouts: readonly GroupLayout[], objective: ObjectiveFunction): StateStep => (state, inputs) => {
  const { loss, logged, gradients } = differentiate(layouts, objective, state, inputs);
  return { outputs: { loss, ...logged, ...Object.fromEntries(layouts.map((layout) => [GRADIENT + layout.group.name, packTensors(layout, gradients)])) } };
};

/** What is known of a call before a step runs. */
interface KnownCall {
  shape: readonly number[];
  /** None for ReLU. Scale and offset are names of parameters. */
  quantizer?: Levels & { axis: number; scale: string; offset?: string };
}

/** An objective in three forms: as it is, with its matchings; also with what its quantizers and ReLUs read and give; with quantizers and ReLUs that read what they are given. */
interface Objectives {
  plain: ObjectiveFunction;
  shown: ObjectiveFunction;
  held: ObjectiveFunction;
  /** Of the last trace of `shown`. */
  found: KnownCall[];
}

function objectivesOf(options: ReturnType<typeof studentOptions>): Objectives {
  const { model, distillation } = options, quantization = quantizationOf(options);
  const plain: ObjectiveFunction = (parameters, batch) => {
    let decided: Record<string, Tensor> = {};
    const look = (parts: LossParts): void => { decided = decisionOutputs(parts, { labels: batch.labels, boxes: batch.boxes }, distillation.settings.tau); };
    const { loss, logged, buffers } = detectionObjective(model, quantization, { batchStatistics: true, distillation, look })(parameters, batch);
    return { loss, buffers, logged: { ...Object.fromEntries(Object.entries(logged).map(([name, t]) => [LOGGED + name, t])), ...decided } };
  };
  const objectives: Objectives = {
    plain,
    shown: (parameters, batch) => {
      const { result, calls } = decisionCalls(() => plain(parameters, batch)), nameOf = (t: Tensor): string => Object.keys(parameters).find((name) => parameters[name] === t)!;
      objectives.found = calls.map(({ x, quantizer }) => ({ shape: x.shape, ...(quantizer ? { quantizer: { ...quantizer.attributes, scale: nameOf(quantizer.scale), offset: quantizer.offset && nameOf(quantizer.offset) } } : {}) }));
      return { ...result, logged: { ...result.logged, ...Object.fromEntries(calls.flatMap(({ x, y, quantizer }, i) => [[READ + i, x], ...(quantizer ? [[GIVEN + i, y]] : [])])) } };
    },
    held: (parameters, batch) => decisionCalls(() => plain(parameters, batch), (x, i) => inPlaceOf(x, batch[HELD + i])).result,
    found: [],
  };
  return objectives;
}

/** Parameters that are changed by a ten-millionth of themselves: the last digit of float32. */
const slightlyChanged = (values: ParameterValues): ParameterValues =>
  Object.fromEntries(Object.entries(values).map(([name, { shape, data }]) => [name, { shape, data: data.map((v, i) => v * (1 + 1e-7 * ((i % 3) - 1))) }]));

const withPrefix = <T>(prefix: string, record: Record<string, T>): Record<string, T> => Object.fromEntries(Object.entries(record).filter(([k]) => k.startsWith(prefix)).map(([k, v]) => [k.slice(prefix.length), v]));

/** Outputs of a step, copied. */
const resultsOf = (layouts: readonly GroupLayout[], outputs: Record<string, TypedArray>): Results => ({
  loss: outputs.loss[0],
  logged: Object.fromEntries(Object.entries(withPrefix(LOGGED, outputs)).map(([name, [value]]) => [name, value])),
  gradients: Object.fromEntries(layouts.flatMap((layout) => Object.entries(unpack(layout, outputs[GRADIENT + layout.group.name] as Float32Array)).map(([name, { data }]) => [name, data]))),
});

/**
 * Trains on the CPU, and compares both engines at some of its states.
 * @returns one entry for each state, in the order of the training
 */
export async function measureAgreement(options: AgreementOptions): Promise<StateAgreement[]> {
  const { steps, states: count, cpu, gpu, tell, each } = options;
  const student = studentOptions(options), task = await detectorRun(student).task(), state = await startingState(task);
  const training = await compileTraining(task, state, student.training), comparison = await Comparison.create(student, task, state, [cpu, gpu], tell);
  const found: StateAgreement[] = [];
  try {
    let done = 0;
    for (const step of statesOf(steps, count)) {
      for (const taken = training.steps(done, step); !(await taken.next()).done;) done++;
      const at = { step, ...(await comparison.at(await training.read(), task.batch(step))) };
      found.push(at);
      each?.(found);
      tell?.(`${options.bits}: state ${found.length} of ${Math.min(count, steps)}, after ${step} steps: ${stateLine(at)}`);
    }
    return found;
  } finally {
    await Promise.all([training.dispose(), comparison.dispose(), task.dispose?.()]);
  }
}

type Pair = readonly [CompiledStep, CompiledStep];
type Batch = Record<string, TypedArray>;

/** A step's forms compiled on two engines, the first of which says what is right. */
class Comparison {
  private constructor(private readonly layouts: readonly GroupLayout[], private readonly shapes: DecisionShapes, private readonly plain: Pair, private readonly shown: Pair, private readonly held: Pair, private readonly known: readonly KnownCall[]) {}

  static async create(student: ReturnType<typeof studentOptions>, { inputs }: TrainingTask, state: TrainingState, engines: readonly [EngineFinding, EngineFinding], tell?: (text: string) => void): Promise<Comparison> {
    const layouts = packLayout(state.parameters, student.training), objectives = objectivesOf(student);
    const compile = async (title: string, objective: ObjectiveFunction, more: Record<string, TensorSpec> = {}): Promise<Pair> => {
      const pair: CompiledStep[] = [];
      for (const engine of engines) {
        pair.push(await compileStep(gradientStep(layouts, objective), { engine, state: differentiated(packState(layouts, state)), inputs: { ...inputs, ...more } }));
        tell?.(`${title} compiled for ${engine.name} in ${Math.round(pair.at(-1)!.statistics.compileMilliseconds)} ms`);
      }
      return pair as unknown as Pair;
    };
    const plain = await compile('step', objectives.plain), shown = await compile('step that shows its decisions', objectives.shown), known = objectives.found;
    const held = await compile('step with held decisions', objectives.held, Object.fromEntries(known.map(({ shape }, i) => [HELD + i, { shape, dtype: 'float32' as const }])));
    const { batchSize } = student.training, { queries, decoderLayers } = student.model;
    return new Comparison(layouts, { layers: decoderLayers, batch: batchSize, boxes: OBJECTS_PER_IMAGE, queries, others: student.distillation.teacher.model.queries }, plain, shown, held, known);
  }

  /** Both engines at one state and batch. */
  async at(state: TrainingState, batch: Batch): Promise<Omit<StateAgreement, 'step'>> {
    const { layouts, shapes, plain } = this, values = differentiated(packState(layouts, state));
    const [[a, first], [b, second]] = (await this.#both(plain, values, batch)).map((outputs) => [resultsOf(layouts, outputs), decisionsOf(outputs)] as const);
    plain[0].writeState(slightlyChanged(values));
    const changed = resultsOf(layouts, await plain[0].run(batch));
    return {
      loss: a.loss, gpu: difference(a, b), control: difference(a, changed),
      matching: assignmentFlips(first, second, shapes), selection: selectionFlips(first, second, shapes), partner: partnerFlips(first, second, shapes),
      ...(await this.#decided(state, values, batch)),
    };
  }

  async #decided({ parameters }: TrainingState, values: ParameterValues, batch: Batch): Promise<Pick<StateAgreement, 'roundings' | 'held'>> {
    const [a, b] = await this.#both(this.shown, values, batch) as Record<string, Float32Array>[];
    const all = this.known.map(({ shape, quantizer }, i) => {
      const read = [a[READ + i], b[READ + i]] as const;
      if (!quantizer) return { flips: { name: RELU, ...signFlips(read) }, held: awayFromZero(read[0]) };
      const { scale, offset, ...levels } = quantizer, scales = parameters[scale].data;
      const known: QuantizerValues = { ...levels, shape, scale: scales, offset: offset ? parameters[offset].data : new Float32Array(scales.length) };
      return { flips: { name: scale, ...roundingFlips(known, read, [a[GIVEN + i], b[GIVEN + i]]) }, held: awayFromBoundaries(known, read[0]) };
    });
    const roundings = stepRoundings(all.map(({ flips }) => flips));
    const [x, y] = (await this.#both(this.held, values, { ...batch, ...Object.fromEntries(all.map(({ held }, i) => [HELD + i, held])) })).map((outputs) => ({ ...resultsOf(this.layouts, outputs), decisions: decisionsOf(outputs) }));
    const heldFlips = [assignmentFlips, selectionFlips, partnerFlips].map((flipsOf) => flipsOf(x.decisions, y.decisions, this.shapes).flips);
    return { roundings, held: { ...difference(x, y), flips: heldFlips.reduce((total, flips) => total + flips) } };
  }

  /** Outputs on both engines, at the same time. */
  #both(pair: Pair, values: ParameterValues, batch: Batch): Promise<Record<string, TypedArray>[]> {
    return Promise.all(pair.map((step) => {
      step.writeState(values);
      return step.run(batch);
    }));
  }

  async dispose(): Promise<void> {
    for (const step of [this.plain, this.shown, this.held].flat()) await step.dispose();
  }
}

/** What {@link gradientStep} reads of a state: all but the moments. */
const differentiated = (packed: ParameterValues): ParameterValues => Object.fromEntries(Object.entries(packed).filter(([name]) => !/^(first|second)\//.test(name)));
