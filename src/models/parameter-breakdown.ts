import { detectorCost, parameterCount } from './cost.js';
import { BACKBONE } from './residual-backbone.js';
import type { DetectorSettings } from './settings.js';

/** Modules of a detector that belong together, and the trained elements that they have. */
export interface ParameterGroup {
  group: string;
  parameters: number;
}

/** Groups of products, in the order of the forward pass, by their names in the state dict. */
const GROUPS: readonly (readonly [group: string, names: RegExp])[] = [
  ['first convolution', new RegExp(`^${BACKBONE}\\.conv1$`)],
  ["backbone's other convolutions", new RegExp(`^${BACKBONE}\\.`)],
  ['input projection', /^input_proj$/],
  ["encoder's self-attention", /\.encoder\..*\.self_attn\./],
  ["encoder's feed-forward networks", /\.encoder\..*\.linear\d$/],
  ["decoder's self-attention", /\.decoder\..*\.self_attn\./],
  ["decoder's co-attention", /\.decoder\..*\.multihead_attn\./],
  ["decoder's feed-forward networks", /\.decoder\..*\.linear\d$/],
  ["SMCA's point layers", /\.point\d/],
  ['class head', /^class_embed$/],
  ['box head', /^bbox_embed\./],
];
const NORMALIZATION = 'batch normalization, weights and biases', ACTIVATION = 'RPReLU of the backbone';

/**
 * A detector's trained elements by what they belong to; those of a linear layer with its bias, those that it has not left out. They sum up
 * to `parameterCount`.
 */
export function parameterBreakdown(settings: DetectorSettings): ParameterGroup[] {
  const sums = new Map<string, number>([...GROUPS.map(([group]) => group), NORMALIZATION, ACTIVATION].map((group) => [group, 0]));
  const add = (group: string, n: number): void => void sums.set(group, sums.get(group)! + n);
  for (const { name, weights, outputs, others } of detectorCost(settings)) {
    const [group] = GROUPS.find(([, names]) => names.test(name))!;
    if (name.startsWith(`${BACKBONE}.`)) {
      add(group, weights);
      add(NORMALIZATION, 2 * outputs);
      add(ACTIVATION, others - 2 * outputs);
    } else add(group, weights + others);
  }
  const queries = settings.queries * settings.modelWidth;
  const products = [...sums.values()].reduce((sum, n) => sum + n, 0);
  sums.set('layer normalizations', parameterCount(settings) - queries - products);
  sums.set('query embeddings', queries);
  return [...sums].filter(([, parameters]) => parameters > 0).map(([group, parameters]) => ({ group, parameters }));
}
