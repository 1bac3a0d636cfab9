import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import path from 'node:path';
import { z } from 'zod';
import { UserError, messageOf } from '../errors.js';
import { BUNDLE_FILE, readJson, sha256, writeFileAtomic } from '../files.js';
import { parseStrictly } from '../schema.js';
import { parseRunSummary, type RunSummary } from './run-record.js';

const text = (what: string) => z.string().min(1).describe(what);
const hash = () => z.string().regex(/^[0-9a-f]{64}$/).describe('a SHA-256, 64 hexadecimal digits');

/** What determines a run: two runs that agree in this give the same numbers. */
const identityShape = {
  experiment: text("an experiment's name"),
  /** Resolved settings: preset and changes together. */
  settings: z.record(z.unknown()).describe('an object of settings'),
  seed: z.number().int().nonnegative().describe('a whole number of at least 0'),
  dataHash: hash(),
  /** See `sourceHash`. */
  sourceHash: hash(),
  /** Of package-lock.json. */
  lockHash: hash(),
  engine: z.object({ name: text("an engine's name"), version: text('a version') }).strict().describe('an object with name and version'),
};

const descriptionSchema = z.object({
  schemaVersion: z.literal(1).describe('1'),
  id: z.string().regex(/^[0-9a-f]{12}$/).describe('12 hexadecimal digits'),
  ...identityShape,
  commit: z.string().nullable().describe("git's commit, or null"),
  nodeVersion: text('a version'),
  machine: z.object({ cpu: z.string().describe('a name'), cores: z.number().int().positive().describe('a whole number') }).strict().describe('an object with cpu and cores'),
  command: z.string().describe('a command line'),
  startedAt: z.string().datetime({ offset: true }).describe('an ISO 8601 time'),
}).strict();

const identitySchema = z.object(identityShape);

/** What determines a run. */
export type RunIdentity = z.infer<typeof identitySchema>;
/** What run.json says. */
export type RunDescription = z.infer<typeof descriptionSchema>;

/** Where run folders go unless a command says otherwise. */
export const RUNS_FOLDER = '.runs';
const TRAIN_AGAIN = 'delete this run\'s folder to train again';

/** A run's id: the first 12 digits of the SHA-256 of what determines it. */
export function runId(identity: RunIdentity): string {
  return sha256(canonicalJson(identitySchema.parse(identity))).slice(0, 12);
}

/** JSON with sorted keys: the same text for the same content. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inside: unknown) => (typeof inside === 'object' && inside !== null && !Array.isArray(inside)
    ? Object.fromEntries(Object.entries(inside).sort(([a], [b]) => (a < b ? -1 : 1)))
    : inside));
}

/**
 * Files of src that no number of a run depends on, so that an edit there leaves finished runs usable: the command line, figures, and of the
 * experiments what only judges or lists runs. (What a cell is, settings included, is in its run's identity itself.)
 */
const WITHOUT_EFFECT = /^((cli|figures)\/|experiments\/(claim[\w-]*|judge-claims|query-distance|cell-table|cell-plan|departures)\.ts$)/;

/**
 * SHA-256 over the TypeScript files below `folder`, without those that have no effect on a run's numbers: their paths, with `/` between the parts
 * and sorted, and their contents.
 * @throws UserError when the folder can't be read
 */
export function sourceHash(folder = 'src'): string {
  try {
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((file) => file.split(path.sep).join('/')).filter((file) => file.endsWith('.ts') && !WITHOUT_EFFECT.test(file));
    return sha256(files.map((file) => `${file} ${sha256(readFileSync(path.join(folder, file)))}\n`).sort().join(''));
  } catch (error) {
    throw new UserError(`${folder} can't be read (${messageOf(error)}): start in the project's own folder`);
  }
}

/** SHA-256 of package-lock.json: the exact packages that a run was made with. @throws UserError when it is missing */
export function lockHash(file = 'package-lock.json'): string {
  try {
    return sha256(readFileSync(file));
  } catch (error) {
    throw new UserError(`${file} can't be read (${messageOf(error)}): restore it with 'git checkout ${file}'`);
  }
}

/** The folder of a run. */
export function runFolder(id: string, root = RUNS_FOLDER): string {
  return path.join(root, id);
}

/**
 * Makes the folder of a run with its run.json, or finds the one that is there.
 * @param command the command line that starts it, for the reader
 * @throws UserError when it can't be written, when the folder of runs is a file, or when its run.json is damaged
 */
export function openRun(identity: RunIdentity, command: string, root = RUNS_FOLDER): { folder: string; description: RunDescription; isNew: boolean } {
  const id = runId(identity);
  const folder = runFolder(id, root);
  const existing = readRun(folder);
  if (existing) return { folder, description: existing, isNew: false };
  const description: RunDescription = {
    schemaVersion: 1,
    id,
    ...identitySchema.parse(identity),
    commit: gitCommit(),
    nodeVersion: process.versions.node,
    machine: { cpu: cpus()[0]?.model ?? 'unknown', cores: availableParallelism() },
    command,
    startedAt: new Date().toISOString(),
  };
  writeFileAtomic(path.join(folder, 'run.json'), `${JSON.stringify(description, null, 2)}\n`);
  return { folder, description, isNew: true };
}

/** What run.json of a run folder says; null where there is none. @throws UserError that names file and key when it is damaged, or the folder of runs where that is a file */
export function readRun(folder: string): RunDescription | null {
  refuseFile(path.dirname(folder));
  const file = path.join(folder, 'run.json');
  if (!existsSync(file)) return null;
  const description = parseStrictly(descriptionSchema, readJson(file, TRAIN_AGAIN), file, TRAIN_AGAIN);
  const expected = runId(description);
  if (description.id !== expected || path.basename(folder) !== expected) throw new UserError(`${file}: 'id' should be ${expected}, which is what its other keys and its folder make, but is ${description.id}: ${TRAIN_AGAIN}`);
  return description;
}

/** All runs in a folder of runs, the oldest first. @throws UserError when it is a file, or one's run.json is damaged */
export function listRuns(root = RUNS_FOLDER): RunDescription[] {
  refuseFile(root);
  if (!existsSync(root)) return [];
  const runs = readdirSync(root).flatMap((id) => readRun(runFolder(id, root)) ?? []);
  return runs.sort((a, b) => (a.startedAt === b.startedAt ? (a.id < b.id ? -1 : 1) : a.startedAt < b.startedAt ? -1 : 1));
}

function refuseFile(root: string): void {
  if (existsSync(root) && !statSync(root).isDirectory()) throw new UserError(`${root} is a file, but runs go into a folder: name a folder with --runs, or move the file away`);
}

/** Writes summary.json: what makes a run a finished one. @throws UserError when it can't be written or contradicts its schema */
export function writeSummary(folder: string, summary: RunSummary): void {
  const file = path.join(folder, 'summary.json');
  writeFileAtomic(file, `${JSON.stringify(parseRunSummary(summary, file), null, 2)}\n`);
}

/** The summary of a finished run; null for one that is not finished. @throws UserError that names file and key when it is damaged */
export function readSummary(folder: string): RunSummary | null {
  const file = path.join(folder, 'summary.json');
  return existsSync(file) ? parseRunSummary(readJson(file, TRAIN_AGAIN), file) : null;
}

/** git's commit, or that of which the bundle was made that the program runs from; null where neither is known. */
export function gitCommit(): string | null {
  try {
    if (existsSync(BUNDLE_FILE)) return (JSON.parse(readFileSync(BUNDLE_FILE, 'utf8')) as { commit: string | null }).commit;
    return execFileSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return null;
  }
}
