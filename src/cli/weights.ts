import type { Command } from 'commander';
import { addFetch, addList } from './official-commands.js';
import { addConversion } from './weights-convert.js';

/** Adds `qdetr weights`: the weights that others published. */
export function weightsCommand(program: Command): void {
  const weights = program.command('weights').description('published weights: what there is, download, what a file holds, conversion');
  addList(weights, 'weights');
  addFetch(weights, 'weights');
  addConversion(weights);
}
