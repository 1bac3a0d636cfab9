import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { UserError, messageOf } from '../errors.js';
import { readJson, sha256 } from '../files.js';
import { parseStrictly } from '../schema.js';
import type { Family } from '../models/settings.js';
import type { ParameterValues } from '../tensor/parameters.js';
import { readParameters } from '../tensor/parameter-file.js';

/** Where the weights lie that come with the project. */
export const SHIPPED_FOLDER = 'data-manifests/weights';
const RESTORE = `restore it with 'git checkout ${SHIPPED_FOLDER}'`;

/** What lies beside a file of weights that comes with the project. */
export const shippedManifestSchema = z.object({
  schemaVersion: z.literal(1).describe('1'),
  file: z.string().regex(/^[\w.-]+\.safetensors$/).describe('a safetensors file beside the manifest'),
  sha256: z.string().regex(/^[0-9a-f]{64}$/).describe('64 hexadecimal digits'),
  model: z.string().min(1).describe("a model's scale"),
  /** AP50 on the splits of MiniVOC, as fractions, measured when the weights were made. */
  ap50: z.object({ test: z.number(), 'test-unseen': z.number() }).strict().describe('AP50 on test and test-unseen'),
  /** How they were made: command, settings, data, machine, hours. */
  madeBy: z.record(z.unknown()).describe('an object'),
}).strict();

/** See `shippedManifestSchema`. */
export type ShippedManifest = z.infer<typeof shippedManifestSchema>;

/** Weights that come with the project. */
export interface ShippedWeights {
  /** What runs that start from them say: it has the first digits of the file's SHA-256. */
  id: string;
  parameters: ParameterValues;
  ap50: { test: number; 'test-unseen': number };
}

/** The name of a scale's weights, `minutes` or `minutes-smca`; a larger model's, a teacher's, has `-teacher` at its end. */
export const shippedName = (scale: string, family: Family, role: '' | '-teacher' = ''): string => `${scale}${family === 'smca-detr' ? '-smca' : ''}${role}`;

/** The scale of a name, and what else it says: `''`, `smca`, `teacher`, `smca-teacher`. */
function partsOf(name: string): { scale: string; kind: string } {
  const [scale, ...kind] = name.split('-');
  return { scale, kind: kind.join('-') };
}

/**
 * The real-valued detector that comes with the project under a name ({@link shippedName}), checked against its SHA-256.
 * @throws UserError when there is none (it names the scales that have one of its kind), or it is damaged
 */
export function shippedWeights(name: string, folder = SHIPPED_FOLDER): ShippedWeights {
  const manifestFile = path.join(folder, `minivoc-${name}.json`);
  if (!existsSync(manifestFile)) {
    const { scale, kind } = partsOf(name), others = scalesIn(folder, kind);
    if (others.length > 0) throw new UserError(`no ${kind && `${kind} `}weights of scale ${scale} come with the project, only of ${others.join(', ')} (${folder}): choose one of these with --scale, or other weights with --from`);
  }
  const manifest = parseStrictly(shippedManifestSchema, readJson(manifestFile, RESTORE), manifestFile, RESTORE);
  const file = path.join(folder, manifest.file);
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    throw new UserError(`${file} can't be read (${messageOf(error)}): ${RESTORE}`);
  }
  const hash = sha256(bytes);
  if (hash !== manifest.sha256) throw new UserError(`${file} is damaged (its SHA-256 is ${hash.slice(0, 12)}…, ${manifestFile} says ${manifest.sha256.slice(0, 12)}…): ${RESTORE}`);
  return { id: `the project's weights (${hash.slice(0, 12)})`, parameters: readParameters(file).parameters, ap50: manifest.ap50 };
}

/** Whether weights of this name come with the project. */
export const hasShippedWeights = (name: string, folder = SHIPPED_FOLDER): boolean => existsSync(path.join(folder, `minivoc-${name}.json`));

/** Scales that have weights of a kind. */
function scalesIn(folder: string, kind: string): string[] {
  const names = (existsSync(folder) ? readdirSync(folder) : []).flatMap((file) => /^minivoc-([\w-]+)\.json$/.exec(file)?.[1] ?? []);
  return names.map(partsOf).filter((parts) => parts.kind === kind).map(({ scale }) => scale).sort();
}
