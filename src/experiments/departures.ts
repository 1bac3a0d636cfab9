import { PAPER_ALIGNMENT } from '../models/distribution-alignment.js';
import { PRESETS, type TrainingSettings } from '../training/settings.js';
import type { Cell } from './cell.js';
import { stageSettings } from './stage-settings.js';

/** Training settings that change what is learned, and the decision that is left where one is. */
const LEARNED: readonly [keyof TrainingSettings, string?][] = [
  ['steps'], ['batchSize'], ['learningRate'], ['backboneFactor'], ['quantizerFactor', 'A5'], ['weightDecay'], ['clipNorm'], ['warmUpSteps'], ['schedule'], ['jitter'],
];

/** What a cell's settings differ in from the paper's protocol and from the decisions where it is silent, each with the paper's in brackets. */
export function departuresOf(cell: Cell): string[] {
  const training = stageSettings(cell), paper = PRESETS.paper;
  const changed = LEARNED.filter(([key]) => training[key] !== paper[key]).map(([key, decision]) => `${key} ${training[key]} (${paper[key] ?? 'none'}${decision === undefined ? '' : `, ${decision}`})`);
  const drops = training.schedule !== 'step' ? [] : (['dropAt', 'dropFactor'] as const).filter((key) => training[key] !== paper[key]).map((key) => `${key} ${training[key]} (${paper[key]})`);
  return [
    ...(cell.scope === 'transformer' ? ['one stage, of the transformer alone (two, of the whole detector)'] : []),
    ...changed, ...drops,
    ...(cell.studentStart === 'fresh' ? [] : [`students start from ${cell.studentStart === 'own' ? 'their own real-valued weights' : "the teacher's transformer"} (a fresh transformer)`]),
    ...(cell.warmUp === 0 || cell.scope !== 'detector' ? [] : [`${cell.warmUp} steps of warm-up before stage 1, real-valued and on L_GT alone, in every method (none)`]),
    ...(cell.distillation !== null && cell.teacher === 'own' ? ["the teacher is the student's own real-valued weights (a larger detector)"] : []),
    ...(cell.weightStart === 'LSQ' ? [] : ["weight scales start at the least error (LSQ's rule, A4)"]),
    ...(cell.alignment === null || cell.alignment.start === PAPER_ALIGNMENT.start ? [] : ['DA starts as measured on the trained detector (gamma 1, beta 0)']),
    ...(cell.preset === 'paper' ? [] : ['quantizers and DA where the released code has them (A6-A8, A10)']),
  ];
}

/** What any of an experiment's cells, all of one scale, differ in from the paper's protocol, in a sentence. */
export const departureText = (cells: readonly Cell[]): string => `Scale ${cells[0].scale}, with the paper's in brackets: ${[...new Set(cells.flatMap(departuresOf))].join('; ')}.`;

/** Whether a protocol says already what {@link departureText} would. */
export const saysDepartures = (protocol: readonly string[], cells: readonly Cell[]): boolean =>
  cells.flatMap(departuresOf).every((departure) => protocol.some((line) => line.startsWith(`Scale ${cells[0].scale}, `) && line.includes(departure)));
