import { Command, CommanderError } from 'commander';
import { UserError, messageOf } from '../errors.js';

type AddCommand = (program: Command) => void;

/** Every command and how its file is loaded: only the one that is asked for is, so that starting stays quick. */
export const commands: Record<string, () => Promise<AddCommand>> = {
  bundle: async () => (await import('./bundle.js')).bundleCommand,
  claims: async () => (await import('./claims.js')).claimsCommand,
  cost: async () => (await import('./cost.js')).costCommand,
  data: async () => (await import('./data.js')).dataCommand,
  doctor: async () => (await import('./doctor.js')).doctorCommand,
  evaluate: async () => (await import('./evaluate.js')).evaluateCommand,
  experiment: async () => (await import('./experiment.js')).experimentCommand,
  figures: async () => (await import('./figures.js')).figuresCommand,
  notebooks: async () => (await import('./notebooks.js')).notebooksCommand,
  plan: async () => (await import('./plan.js')).planCommand,
  predict: async () => (await import('./predict.js')).predictCommand,
  pretrain: async () => (await import('./pretrain.js')).pretrainCommand,
  start: async () => (await import('./start.js')).startCommand,
  train: async () => (await import('./train.js')).trainCommand,
  weights: async () => (await import('./weights.js')).weightsCommand,
};

/**
 * Runs the command line.
 * @param args what stands after `qdetr`
 * @param known the commands that there are
 * @returns the exit code: 0, or 1 after an error, which has then been printed on stderr
 */
export async function main(args: readonly string[], known = commands): Promise<number> {
  const wanted = args.length > 0 && Object.hasOwn(known, args[0]) ? args[0] : undefined;
  let refusedBy = '';
  try {
    const program = await assemble(wanted === undefined ? Object.values(known) : [known[wanted]]);
    inOneStyle(program, (words) => (refusedBy = words));
    await program.parseAsync(args.length > 0 ? [...args] : ['--help'], { from: 'user' });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    return report(error, refusedBy);
  }
}

/** The program with the wanted command, or with all of them where it is none of ours (help, a typing error). */
async function assemble(wanted: readonly (() => Promise<AddCommand>)[]): Promise<Command> {
  const program = new Command('qdetr')
    .description('Q-DETR, step by step: low-bit detection transformers, their training and the figures of the paper')
    .addHelpText('after', "\n'npx qdetr <command> --help' shows what a command can do.");
  for (const load of wanted) (await load())(program);
  return program;
}

/**
 * Commander's own errors come back as exceptions, for this command and those below it; unknown words are errors.
 * @param onError hears the words of the command that an error is of, e.g. `data export `
 */
function inOneStyle(command: Command, onError: (words: string) => void, words = ''): void {
  const throwOn = (error: CommanderError): never => {
    onError(words);
    throw error;
  };
  command.exitOverride(throwOn).helpCommand(false).configureOutput({ outputError: () => {} }).allowExcessArguments(false);
  for (const below of command.commands) inOneStyle(below, onError, `${words}${below.name()} `);
}

/** Prints an error as its reader needs it. @param refusedBy words of the command whose line is wrong @returns the exit code */
function report(error: unknown, refusedBy: string): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0;
    if (error.code === 'commander.help') return 1; // a command that needs a second word: its help has been printed
    const message = oneLine(error.message).replace(/^error: /, '').replace(/\.$/, '').replace(/ \(Did you mean (.*)\?\)$/, ", did you mean '$1'?");
    console.error(`error: ${message}${message.endsWith('?') ? ' See' : ': see'} 'npx qdetr ${refusedBy}--help'`);
  } else if (error instanceof UserError) {
    console.error(`error: ${oneLine(error.message)}`);
  } else {
    console.error(`error: ${messageOf(error)}`);
    if (!process.env.QDETR_DEBUG) console.error('This is a fault of the program, not yours: QDETR_DEBUG=1 shows where it happened.');
  }
  if (process.env.QDETR_DEBUG && error instanceof Error) console.error(error.stack);
  return 1;
}

const oneLine = (text: string): string => text.trim().replace(/\s*\n\s*/g, ' ');
