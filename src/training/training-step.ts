import { tf, type Tensor } from '../tensor/tf.js';
import type { NamedTensors, StateStep } from '../tensor/compile-step.js';
import type { ParameterValues, Parameters } from '../tensor/parameters.js';
import { optimizerStep, type PackedGroup } from './optimizer-step.js';
import { pack, unpack, unpackTensors, type GroupLayout } from './parameter-groups.js';
import type { TrainingSettings } from './settings.js';

/** What is minimized: the loss of a batch, numbers for the log (scalars), and new values of the buffers (running averages). */
export interface Objective {
  loss: Tensor;
  logged: Record<string, Tensor>;
  buffers: Parameters;
}

/** Model, criterion and distillation as one function of the parameters (buffers included) and a batch. */
export type ObjectiveFunction = (parameters: Parameters, batch: NamedTensors) => Objective;

/** Scalars that change from step to step. */
export const HYPERPARAMETERS = ['learningRate', 'correction1', 'correction2'] as const;

/** What the optimizer keeps, by parameter name; part of a checkpoint. */
export interface TrainingState {
  parameters: ParameterValues;
  firstMoments: ParameterValues;
  secondMoments: ParameterValues;
  buffers: ParameterValues;
}

/** Names of one group's flat vectors in the compiled state. */
const keys = ({ group }: GroupLayout) => ({ parameter: `parameter/${group.name}`, first: `first/${group.name}`, second: `second/${group.name}` });
const BUFFER = 'buffer/';

/** The flat vectors of the groups in a compiled state, for the optimizer. */
export const packedGroups = (layouts: readonly GroupLayout[], state: NamedTensors): PackedGroup[] => layouts.map((layout) => {
  const key = keys(layout);
  return { parameter: state[key.parameter], first: state[key.first], second: state[key.second] };
});

/** New flat vectors of the groups, as a compiled state names them. */
export const withGroups = (layouts: readonly GroupLayout[], groups: readonly PackedGroup[]): NamedTensors => Object.assign({}, ...layouts.map((layout, i): NamedTensors => {
  const key = keys(layout), { parameter, first, second } = groups[i];
  return { [key.parameter]: parameter, [key.first]: first, [key.second]: second };
})) as NamedTensors;

/** New buffers, as a compiled state names them. */
export const withBuffers = (buffers: Parameters): NamedTensors => Object.fromEntries(Object.entries(buffers).map(([name, t]) => [BUFFER + name, t]));

/** Parameters and buffers of a compiled state, by name. */
function unpackedState(layouts: readonly GroupLayout[], state: NamedTensors): { parameters: Parameters; buffers: Parameters } {
  return {
    parameters: Object.assign({}, ...layouts.map((layout) => unpackTensors(layout, state[keys(layout).parameter]))) as Parameters,
    buffers: Object.fromEntries(Object.entries(state).filter(([k]) => k.startsWith(BUFFER)).map(([k, t]) => [k.slice(BUFFER.length), t])),
  };
}

/**
 * Forward, criterion and backward.
 * @param state as {@link packState} names it; moments are not looked at
 * @returns what the objective gives, and the gradient of its loss by each trained parameter, in the parameter's shape, before clipping
 */
export function differentiate(layouts: readonly GroupLayout[], objective: ObjectiveFunction, state: NamedTensors, inputs: NamedTensors): Objective & { gradients: Parameters } {
  const { parameters, buffers } = unpackedState(layouts, state), names = Object.keys(parameters);
  let found: Objective | undefined;
  const { grads } = tf.valueAndGrads((...tensors: Tensor[]) => {
    found = objective({ ...buffers, ...Object.fromEntries(names.map((name, i) => [name, tensors[i]])) }, inputs);
    for (const t of [found.loss, ...Object.values(found.logged), ...Object.values(found.buffers)]) tf.keep(t);
    return found.loss as tf.Scalar;
  })(names.map((name) => parameters[name]));
  return { ...found!, gradients: Object.fromEntries(names.map((name, i) => [name, grads[i]])) };
}

/**
 * One step of training as a pure function: forward, criterion, backward, clipping by the global norm (over all groups), AdamW.
 * Outputs: `loss`, `gradientNorm` (before clipping) and what the objective logs.
 */
export function trainingStep(layouts: readonly GroupLayout[], settings: Pick<TrainingSettings, 'clipNorm'>, objective: ObjectiveFunction): StateStep {
  return (state, inputs) => {
    const { loss, logged, buffers: newBuffers, gradients } = differentiate(layouts, objective, state, inputs);
    const { learningRate, correction1, correction2 } = inputs;
    const updated = optimizerStep(layouts, gradients, packedGroups(layouts, state), { clipNorm: settings.clipNorm, learningRate, correction1, correction2 });
    const next = { ...withBuffers(newBuffers), ...withGroups(layouts, updated.groups) };
    return { state: next, outputs: { loss, gradientNorm: updated.norm, ...logged } };
  };
}

/** A training state in the form in which the compiled step keeps it. */
export function packState(layouts: readonly GroupLayout[], { parameters, firstMoments, secondMoments, buffers }: TrainingState): ParameterValues {
  const packed: ParameterValues = Object.fromEntries(Object.entries(buffers).map(([name, v]) => [BUFFER + name, v]));
  for (const layout of layouts) {
    const key = keys(layout), shape = [layout.size];
    packed[key.parameter] = { shape, data: pack(layout, parameters) };
    packed[key.first] = { shape, data: pack(layout, firstMoments) };
    packed[key.second] = { shape, data: pack(layout, secondMoments) };
  }
  return packed;
}

/** The inverse of {@link packState}. */
export function unpackState(layouts: readonly GroupLayout[], packed: ParameterValues): TrainingState {
  const state: TrainingState = { parameters: {}, firstMoments: {}, secondMoments: {}, buffers: {} };
  for (const layout of layouts) {
    const key = keys(layout);
    Object.assign(state.parameters, unpack(layout, packed[key.parameter].data));
    Object.assign(state.firstMoments, unpack(layout, packed[key.first].data));
    Object.assign(state.secondMoments, unpack(layout, packed[key.second].data));
  }
  for (const [name, v] of Object.entries(packed)) if (name.startsWith(BUFFER)) state.buffers[name.slice(BUFFER.length)] = v;
  return state;
}

/** The state that training starts from: moments 0; names that `isBuffer` accepts become buffers. */
export function initialState(values: ParameterValues, isBuffer: (name: string) => boolean): TrainingState {
  const entries = Object.entries(values);
  const parameters = Object.fromEntries(entries.filter(([name]) => !isBuffer(name)));
  const zeros = (): ParameterValues => Object.fromEntries(Object.entries(parameters).map(([name, v]) => [name, { shape: v.shape, data: new Float32Array(v.data.length) }]));
  return { parameters, firstMoments: zeros(), secondMoments: zeros(), buffers: Object.fromEntries(entries.filter(([name]) => isBuffer(name))) };
}
