import { execFileSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, statSync } from 'node:fs';
import { availableParallelism, freemem } from 'node:os';
import path from 'node:path';
import { UserError, messageOf } from '../../errors.js';
import { sha256, writeFileAtomic } from '../../files.js';
import { gitCommit } from '../../training/run-folder.js';
import { bundleContents, refuseOtherMachines, thisMachine, type BundlePart } from './parts.js';
import { TAR_END, tarEntry } from './tar.js';
import { compressXz } from './xz.js';

/** How a bundle is made. */
export interface BundleOptions {
  /** The archive's file. */
  output: string;
  withCpuEngine: boolean;
  /** xz's preset, 0 (quick) to 9 (small). */
  preset: number;
  /** Is called when nothing stands in the way, before it takes minutes. */
  onBegin?: () => void;
}

/** An archive that was written. */
export interface Bundle {
  /** In bytes; `packed` is what the part takes in the archive. */
  parts: { title: string; files: number; bytes: number; packed: number }[];
  packages: number;
  bytes: number;
  sha256: string;
  notes: string[];
}

/**
 * Packs Node, the program, its packages and its data into one .tar.xz. The same files, Node and xz give the same archive, byte for byte.
 * @throws UserError on another system than Linux x64, when packages or xz are missing, or when the archive can't be written
 */
export async function makeBundle({ output, withCpuEngine, preset, onBegin }: BundleOptions): Promise<Bundle> {
  refuseOtherMachines(thisMachine());
  refuseUnwritable(output);
  onBegin?.();
  const { parts, packages, notes } = await bundleContents(withCpuEngine, gitCommit());
  notes.push(...uncommitted());
  const compressed = await compressParts(parts, preset);
  const archive = Buffer.concat(compressed);
  writeFileAtomic(output, archive);
  const sizes = parts.map(({ title, files }, i) => ({ title, files: files.length, bytes: files.reduce((sum, { content }) => sum + content.length, 0), packed: compressed[i].length }));
  return { parts: sizes, packages: packages.length, bytes: archive.length, sha256: sha256(archive), notes };
}

/** Runs name the commit as theirs: what is packed besides it is said. */
function uncommitted(): string[] {
  try {
    const changes = execFileSync('git', ['status', '--porcelain', '--', 'src', 'data-manifests', 'figures/recorded', 'package.json', 'package-lock.json'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    const files = changes.split('\n').filter((line) => line !== '').map((line) => line.slice(3));
    return files.length === 0 ? [] : [`Changes that are not committed are packed: ${files.slice(0, 3).join(', ')}${files.length > 3 ? ` and ${files.length - 3} more` : ''}`];
  } catch {
    return []; // no git, or no repository
  }
}

/** Before minutes are spent on it. */
function refuseUnwritable(output: string): void {
  if (existsSync(output) && statSync(output).isDirectory()) throw new UserError(`--output ${output} is a folder: name the archive's file, such as ${path.join(output, 'qdetr-linux-x64.tar.xz')}`);
  const folder = path.dirname(path.resolve(output));
  try {
    mkdirSync(folder, { recursive: true });
    accessSync(folder, constants.W_OK);
  } catch (error) {
    throw new UserError(`--output ${output} can't be written (${messageOf(error)}): choose another folder`);
  }
}

/** Each part as pieces of one tar file, compressed on its own; together they are an .tar.xz. */
async function compressParts(parts: readonly BundlePart[], preset: number): Promise<Buffer[]> {
  const compressed: Buffer[] = [];
  const size = ({ files }: BundlePart): number => files.reduce((sum, { content }) => sum + content.length, 0);
  const waiting = [...parts.keys()].sort((a, b) => size(parts[b]) - size(parts[a])); // the longest first
  const work = async (): Promise<void> => {
    for (let i = waiting.shift(); i !== undefined; i = waiting.shift()) {
      const { files, contents } = parts[i];
      compressed[i] = await compressXz([...files.flatMap(tarEntry), ...(i === parts.length - 1 ? [TAR_END] : [])], contents, preset);
    }
  };
  const processes = Math.max(1, Math.min(availableParallelism(), Math.floor(freemem() / 1e9))); // xz -9 takes 0.7 GB
  await Promise.all(Array.from({ length: Math.min(processes, parts.length) }, work));
  return compressed;
}
