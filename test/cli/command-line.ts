/** Runs `npx qdetr …` as a user does: in a process of its own. */
import { spawn } from 'node:child_process';

/** What a command line left behind. */
export interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

/**
 * Runs a command.
 * @param interruptAt sends SIGINT once, as Ctrl-C does, as soon as this is found in what it wrote on stderr
 */
export async function qdetr(args: readonly string[], interruptAt?: RegExp): Promise<Outcome> {
  const child = spawn(process.execPath, ['src/cli/qdetr.mjs', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const outcome: Outcome = { code: null, stdout: '', stderr: '' };
  let isInterrupted = false;
  child.stdout.on('data', (chunk: Buffer) => void (outcome.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => {
    outcome.stderr += chunk.toString();
    if (interruptAt && !isInterrupted && interruptAt.test(outcome.stderr)) isInterrupted = child.kill('SIGINT');
  });
  outcome.code = await new Promise((resolve) => child.once('close', (code) => resolve(code)));
  return outcome;
}
