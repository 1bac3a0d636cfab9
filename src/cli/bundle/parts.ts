import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { BUNDLE_FILE } from '../../files.js';
import { UserError, messageOf } from '../../errors.js';
import { compileProgram } from './compile-program.js';
import { LAUNCHER, bundleReadme, thirdParty } from './texts.js';
import { filesBelow, packageFiles, type PackedPackage } from './package-files.js';
import type { ArchivedFile } from './tar.js';
import type { Contents } from './xz.js';

/** The folder that a bundle unpacks to. */
export const BUNDLE_FOLDER = 'qdetr';

/** A part of a bundle: files that are compressed together. */
export interface BundlePart {
  title: string;
  contents: Contents;
  /** Paths begin with {@link BUNDLE_FOLDER}; in order of their paths. */
  files: ArchivedFile[];
}

/** What goes into a bundle, and what its maker should know. */
export interface BundleContents {
  parts: BundlePart[];
  packages: PackedPackage[];
  /** e.g. that symbols are in the libraries still. */
  notes: string[];
}

/** What a bundle can be made of: a Linux machine on x64 with glibc. The parts of `process` that tell. */
export interface Machine { platform: string; arch: string; glibc: string | undefined }

/** This machine. */
export function thisMachine(): Machine {
  const { header } = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
  return { platform: process.platform, arch: process.arch, glibc: header.glibcVersionRuntime };
}

/** Node and the libraries are those of the machine that packs. @throws UserError where they would not run on Linux x64 with glibc, or in a bundle */
export function refuseOtherMachines({ platform, arch, glibc }: Machine, root = '.'): void {
  const here = platform !== 'linux' || arch !== 'x64' ? `${platform} on ${arch}` : glibc === undefined ? 'a Linux without glibc' : undefined;
  if (here) throw new UserError(`a bundle holds the Node and the libraries of the machine that makes it, for Linux on x64 with glibc, and this is ${here}: run npx qdetr bundle on such a machine`);
  if (existsSync(path.join(root, BUNDLE_FILE))) throw new UserError('this folder is a bundle itself: copy the archive that it came from, or bundle again in the repository');
}

/**
 * Reads, compiles and strips everything that a bundle holds.
 * @param withCpuEngine whether onnxruntime is packed
 * @param commit git's commit, for the records of runs
 * @throws UserError when packages are missing or the source can't be compiled
 */
export async function bundleContents(withCpuEngine: boolean, commit: string | null): Promise<BundleContents> {
  const { scripts, imported } = await compileProgram();
  const packages = packageFiles(imported, withCpuEngine);
  const notes: string[] = [];
  const stripped = withoutSymbols(notes);
  const read = (file: string): ArchivedFile => inBundle(file, /\/dawn\.node$/.test(file) ? stripped(file) : readFileSync(file));
  const filesOf = (part: PackedPackage['part']): ArchivedFile[] => packages.filter((one) => one.part === part).flatMap(({ files }) => files.map(read));

  const nodeLicense = nodeLicenseFile();
  const node = [inBundle('bin/node', stripped(process.execPath), true), ...(nodeLicense ? [inBundle('bin/LICENSE-node', readFileSync(nodeLicense))] : [])];
  const description = `${JSON.stringify({ commit, node: process.version }, null, 2)}\n`;
  const program = [
    ...[...scripts].map(([file, content]) => inBundle(file, content)),
    ...filesBelow('src').filter((file) => /\.(ts|mjs)$/.test(file)).map((file) => read(`src/${file}`)),
    ...['package.json', 'package-lock.json', 'LICENSE', 'NOTICE.md'].map(read),
    inBundle('qdetr', Buffer.from(LAUNCHER), true),
    inBundle('README.md', Buffer.from(bundleReadme({ commit, node: process.version, withCpuEngine }))),
    inBundle('THIRD-PARTY.md', Buffer.from(thirdParty(packages, process.version, nodeLicense ? 'bin/LICENSE-node' : undefined))),
    inBundle(BUNDLE_FILE, Buffer.from(description)),
  ];
  const manifests = filesBelow('data-manifests').map((file) => `data-manifests/${file}`), isWeights = (file: string): boolean => file.endsWith('.safetensors');
  const data = [...manifests.filter((file) => !isWeights(file)), ...filesBelow('figures/recorded').filter((file) => !file.startsWith('unfinished/')).map((file) => `figures/recorded/${file}`)]; // no table reads unfinished grids
  const parts: BundlePart[] = [
    { title: `Node ${process.version}`, contents: 'code', files: node },
    { title: 'GPU engine', contents: 'code', files: filesOf('GPU engine') },
    { title: 'CPU engine', contents: 'code', files: filesOf('CPU engine') },
    { title: 'pictures', contents: 'code', files: filesOf('pictures') },
    { title: 'packages', contents: 'text', files: filesOf('packages') },
    { title: 'program', contents: 'text', files: program },
    { title: 'weights', contents: 'floats', files: manifests.filter(isWeights).map(read) },
    { title: 'data', contents: 'text', files: data.map(read) },
  ];
  for (const { files } of parts) files.sort((a, b) => (a.path < b.path ? -1 : 1));
  return { parts: parts.filter(({ files }) => files.length > 0), packages, notes };
}

const inBundle = (file: string, content: Uint8Array, executable = false): ArchivedFile => ({ path: `${BUNDLE_FOLDER}/${file}`, content, executable });

/** Reads a program or library without its symbols, which only debuggers use: `strip` of binutils, where it is there. @param notes hears where not */
function withoutSymbols(notes: string[]): (file: string) => Buffer {
  return (file) => {
    const folder = mkdtempSync(path.join(tmpdir(), 'qdetr-bundle-')), out = path.join(folder, 'stripped');
    try {
      execFileSync('strip', ['-o', out, file], { stdio: ['ignore', 'ignore', 'pipe'] });
      return readFileSync(out);
    } catch (error) {
      notes.push(`${path.basename(file)} keeps its symbols: ${(error as NodeJS.ErrnoException).code === 'ENOENT' ? 'there is no strip here (Debian: apt install binutils)' : messageOf(error).split('\n')[0]}`);
      return readFileSync(file);
    } finally {
      rmSync(folder, { recursive: true });
    }
  };
}

/** Where the licence of the Node that runs is: beside it as nodejs.org, Debian and others put it. */
function nodeLicenseFile(): string | undefined {
  const above = path.join(path.dirname(process.execPath), '..');
  return ['LICENSE', 'share/doc/nodejs/LICENSE', 'share/doc/node/LICENSE', 'share/licenses/nodejs/LICENSE'].map((file) => path.join(above, file)).find((file) => existsSync(file));
}
