import { existsSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { UserError, messageOf } from '../errors.js';
import { readJson, sha256, writeFileAtomic } from '../files.js';
import { parseStrictly } from '../schema.js';
import type { ParameterValues } from '../tensor/parameters.js';
import { decodeSafetensors, encodeSafetensors } from '../tensor/safetensors.js';
import { isAlive } from '../is-alive.js';

const whole = () => z.number().int().nonnegative().describe('a whole number of at least 0');

const countersSchema = z.object({
  /** Seed of every random stream; with the counters below it is all that random numbers depend on. */
  seed: whole(),
  /** Optimizer steps done. */
  step: whole(),
  epoch: whole(),
  /** Images of this epoch that were seen. */
  positionInEpoch: whole(),
  /** Length of metrics.jsonl when the checkpoint was made. */
  metricsBytes: whole(),
}).strict();

/** Where in the training a checkpoint was made. */
export type Counters = z.infer<typeof countersSchema>;

const SECTIONS = ['parameters', 'firstMoments', 'secondMoments', 'buffers'] as const;

/** Everything that a run needs to go on as if it had never stopped. */
export interface Checkpoint extends Record<(typeof SECTIONS)[number], ParameterValues> {
  /** The run that it belongs to. */
  runId: string;
  counters: Counters;
}

const entrySchema = z.object({
  file: z.string().regex(/^step-\d+-[0-9a-f]+\.safetensors$/).describe('a checkpoint file of this run'),
  step: whole(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/).describe('64 hexadecimal digits'),
}).strict();

type Entry = z.infer<typeof entrySchema>;

const pointerSchema = z.object({ schemaVersion: z.literal(1), checkpoints: z.array(entrySchema).min(1).max(2) }).strict();

const TRAIN_AGAIN = 'delete this run\'s folder, or start with --fresh, to train again';
const pointerFile = (folder: string): string => path.join(folder, 'LAST');
const checkpointFile = (folder: string, name: string): string => path.join(folder, 'checkpoints', name);

/**
 * Saves a checkpoint into `checkpoints/` of a run folder. It is written aside, then the pointer LAST flips to it, so that there is a good
 * one at every moment. The one before it is kept, older ones are deleted.
 * @throws UserError when it can't be written; the last good checkpoint stays what it was
 */
export function saveCheckpoint(folder: string, checkpoint: Checkpoint): void {
  const bytes = encodeCheckpoint(checkpoint);
  const hash = sha256(bytes);
  const { step } = checkpoint.counters;
  const entry = { file: `step-${String(step).padStart(9, '0')}-${hash.slice(0, 8)}.safetensors`, step, sha256: hash };
  writeFileAtomic(checkpointFile(folder, entry.file), bytes);
  const older = (readPointer(folder) ?? []).filter(({ file }) => file !== entry.file);
  const kept = [entry, ...older].slice(0, 2);
  writePointer(folder, kept);
  removeLeftovers(folder, kept);
}

/**
 * The newest good checkpoint of a run folder, or null where there is none yet. A damaged one (its SHA-256 is not the one in LAST)
 * is given up for the one before it, and `note` says so.
 * @throws UserError when LAST is damaged, or every checkpoint is
 */
export function loadCheckpoint(folder: string, runId: string): { checkpoint: Checkpoint; note?: string } | null {
  const entries = readPointer(folder);
  if (entries === null) return null;
  const faults: string[] = [];
  for (const [i, { file, sha256: hash }] of entries.entries()) {
    const name = checkpointFile(folder, file);
    const bytes = readSound(name, hash);
    if (typeof bytes === 'string') {
      faults.push(bytes);
      continue;
    }
    const checkpoint = decodeCheckpoint(bytes, name);
    if (checkpoint.runId !== runId) throw new UserError(`${name}: 'runId' should be ${runId}, but is ${checkpoint.runId}: ${TRAIN_AGAIN}`);
    if (i > 0) writePointer(folder, entries.slice(i));
    removeLeftovers(folder, entries.slice(i));
    if (i === 0) return { checkpoint };
    return { checkpoint, note: `${faults.join('; ')}: going on from step ${checkpoint.counters.step}` };
  }
  throw new UserError(`${faults.join('; ')}: ${TRAIN_AGAIN}`);
}

/** Whether the newest checkpoint of a run folder is of this step and undamaged. @throws UserError when LAST is damaged */
export function hasCheckpoint(folder: string, step: number): boolean {
  const newest = readPointer(folder)?.[0];
  return newest?.step === step && typeof readSound(checkpointFile(folder, newest.file), newest.sha256) !== 'string';
}

/** A file's bytes, or what is wrong with it. */
function readSound(file: string, hash: string): Uint8Array | string {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    return `${file} can't be read (${messageOf(error)})`;
  }
  return sha256(bytes) === hash ? bytes : `${file} is damaged (its SHA-256 is not the one in LAST)`;
}

function readPointer(folder: string): Entry[] | null {
  const file = pointerFile(folder);
  if (!existsSync(file)) return null;
  return parseStrictly(pointerSchema, readJson(file, TRAIN_AGAIN), file, TRAIN_AGAIN).checkpoints;
}

function writePointer(folder: string, checkpoints: Entry[]): void {
  writeFileAtomic(pointerFile(folder), `${JSON.stringify({ schemaVersion: 1, checkpoints }, null, 1)}\n`);
}

/** Deletes checkpoints that LAST no longer names, and what killed writers left behind: not the files that a living process is writing. */
function removeLeftovers(folder: string, checkpoints: Entry[]): void {
  const kept = new Set(checkpoints.map(({ file }) => file));
  for (const name of readdirSync(path.join(folder, 'checkpoints'))) if (!kept.has(name)) rmSync(checkpointFile(folder, name), { force: true });
  for (const name of readdirSync(folder)) if (name.endsWith('.tmp') && !isBeingWritten(name)) rmSync(path.join(folder, name), { force: true });
}

/** Whether the process that a temporary file is named after (`writeFilesAtomic`) is another one, and alive. */
function isBeingWritten(name: string): boolean {
  const pid = Number(/\.(\d+)(?:\.old)?\.tmp$/.exec(name)?.[1]);
  return Number.isInteger(pid) && pid !== process.pid && isAlive(pid);
}

/** The bytes of a checkpoint's safetensors file: arrays `<section>/<name>`, the rest as notes. */
export function encodeCheckpoint(checkpoint: Checkpoint): Uint8Array {
  const tensors = SECTIONS.flatMap((section) => Object.entries(checkpoint[section]).map(([name, { shape, data }]) => [`${section}/${name}`, { dtype: 'F32', shape, data }] as const));
  const metadata = new Map([['format', 'qdetr-checkpoint-1'], ['runId', checkpoint.runId], ['counters', JSON.stringify(checkpoint.counters)]]);
  return encodeSafetensors({ tensors: new Map(tensors), metadata });
}

/** @throws UserError when the bytes are no sound safetensors file, or one that is no checkpoint */
export function decodeCheckpoint(bytes: Uint8Array, file: string): Checkpoint {
  const { tensors, metadata } = decodeSafetensors(bytes, file);
  if (metadata.get('format') !== 'qdetr-checkpoint-1') throw new UserError(`${file}: '__metadata__.format' should be qdetr-checkpoint-1, but is ${metadata.get('format') ?? 'missing'}: ${TRAIN_AGAIN}`);
  const sections: Record<(typeof SECTIONS)[number], ParameterValues> = { parameters: {}, firstMoments: {}, secondMoments: {}, buffers: {} };
  for (const [key, { dtype, shape, data }] of tensors) {
    const [, section, name] = /^([^/]*)\/(.*)$/s.exec(key) ?? [];
    if (dtype !== 'F32' || section === undefined || !Object.hasOwn(sections, section)) throw new UserError(`${file}: '${key}' should be an F32 array of ${SECTIONS.join(', ')}: ${TRAIN_AGAIN}`);
    Object.defineProperty(sections[section as keyof typeof sections], name, { value: { shape, data }, enumerable: true, configurable: true, writable: true });
  }
  let counters: unknown;
  try {
    counters = JSON.parse(metadata.get('counters') ?? '');
  } catch {
    throw new UserError(`${file}: '__metadata__.counters' is no JSON: ${TRAIN_AGAIN}`);
  }
  return { ...sections, runId: metadata.get('runId') ?? '', counters: parseStrictly(countersSchema, counters, `${file}, __metadata__.counters`, TRAIN_AGAIN) };
}
