import type { Command } from 'commander';
import { addFetch, addList } from './official-commands.js';
import { addConversion } from './weights-convert.js';
import { addTraining } from './weights-train.js';

/** Adds `qdetr weights`: the weights that others published, and those of this project. */
export function weightsCommand(program: Command): void {
  const weights = program.command('weights').description("published weights: what there is, download, what a file holds, conversion; this project's own");
  addList(weights, 'weights');
  addFetch(weights, 'weights');
  addConversion(weights);
  addTraining(weights);
}
