import { figure28Experiment } from './figure-2.8.js';
import type { Experiment } from './grid.js';

/** Fig. 2.9 (CVPR Fig. 2): co-attention maps of the last decoder layer, real-valued and quantized. Its cells are those of Fig. 2.8. */
export const figure29Experiment: Experiment = {
  ...figure28Experiment,
  name: 'figure-2.9',
  answers: 'Fig. 2.9: where quantized and real-valued co-attention look, in four heads of the last decoder layer',
  artefact: 'figure-2.9',
  protocol: [
    'The real-valued detector, the baseline and Q-DETR at 4-4-8: the cells of Fig. 2.8, trained once for both and for Table 2.2.',
    'The figure observes the attention maps of each checkpoint on images of MiniVOC\'s test split.',
  ],
  command: 'npx qdetr experiment figure-2.9 --scale minutes',
};
