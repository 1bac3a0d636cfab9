import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { UserError } from '../../errors.js';

/** The part of a bundle that a package belongs to; every other package is in `packages`. */
const PARTS = {
  'GPU engine': ['webgpu'],
  'CPU engine': ['onnxruntime-node', 'onnxruntime-common'],
  pictures: ['sharp', '@img/sharp-linux-x64', '@img/sharp-libvips-linux-x64', '@resvg/resvg-js', '@resvg/resvg-js-linux-x64-gnu', 'dejavu-fonts-ttf'],
} as const;
/** Where the files of npm packages go. */
export type PackagePart = keyof typeof PARTS | 'packages';

/**
 * What is loaded without an import that can be followed, of Linux on x64 with glibc: package, pattern of the files in it. onnxruntime's
 * providers (CUDA, TensorRT) are hundreds of megabytes and need CUDA.
 */
const LOADED_BY_NAME: readonly (readonly [packageName: string, files: RegExp])[] = [
  ['webgpu', /^dist\/linux-x64\//],
  ['onnxruntime-node', /^bin\/napi-v\d+\/linux\/x64\/(?!.*providers_)/],
  ['sharp', /^dist\/[\w-]+\.cjs$/],
  ['@img/sharp-linux-x64', /\.(cjs|node)$/],
  ['@img/sharp-libvips-linux-x64', /\.(js|json)$|\.so[.\d]*$/],
  ['@resvg/resvg-js-linux-x64-gnu', /\.node$/],
  ['@tensorflow/tfjs-backend-wasm', /^dist\/[\w-]+\.wasm$/],
  ['dejavu-fonts-ttf', /^ttf\/DejaVuSans(-Bold)?\.ttf$/],
];

const LICENCE = /^(licen[cs]e|copying|notice|third[-_]?party[-_]?notices?)[^/]*$/i;

/** A package of a bundle: what it is and what of it is packed. */
export interface PackedPackage {
  name: string;
  version: string;
  /** Its licence as package.json says it. */
  license: string;
  homepage: string;
  part: PackagePart;
  /** Paths from the project's root, with `/`, sorted: what was traced, what is loaded by name, package.json, licences. */
  files: string[];
  /** Those of them that hold its licence; its README where it has no file of its own for it. */
  licenses: string[];
}

/** The part of a bundle that a package belongs to. */
export function partOf(packageName: string): PackagePart {
  const parts = Object.entries(PARTS) as [keyof typeof PARTS, readonly string[]][];
  return parts.find(([, names]) => names.includes(packageName))?.[0] ?? 'packages';
}

/** Name of the package that a file belongs to, and its folder: `node_modules/a/node_modules/@b/c/d.js` is of `@b/c`. Undefined for files of no package. */
export function packageOf(file: string): { name: string; folder: string } | undefined {
  const found = /^(.*\bnode_modules\/((?:@[^/]+\/)?[^/@][^/]*))\/./.exec(file);
  return found ? { name: found[2], folder: found[1] } : undefined;
}

/**
 * The files of npm packages that a bundle for Linux on x64 needs: those that the program imports, the native libraries and other files that
 * they load by name, every package.json on the way to them (Node reads them), and licences.
 * @param traced files that the program imports, from the project's root; what is in no package is left out
 * @param withCpuEngine whether onnxruntime's native library is wanted
 * @param root the project's root
 * @returns packages by folder, in order
 * @throws UserError when a package that is needed is not installed
 */
export function packageFiles(traced: readonly string[], withCpuEngine: boolean, root = '.'): PackedPackage[] {
  const byFolder = new Map<string, { name: string; files: Set<string> }>();
  const add = (folder: string, name: string, file: string): void => {
    if (!byFolder.has(folder)) byFolder.set(folder, { name, files: new Set() });
    byFolder.get(folder)!.files.add(file);
  };
  const isWanted = (name: string): boolean => withCpuEngine || partOf(name) !== 'CPU engine';
  for (const file of traced) {
    const owner = packageOf(file);
    if (owner && isWanted(owner.name) && /\.([cm]?js|json)$/.test(file)) add(owner.folder, owner.name, file);
  }
  for (const [name, wanted] of LOADED_BY_NAME) {
    if (!isWanted(name)) continue;
    const folder = `node_modules/${name}`, files = filesBelow(path.join(root, folder)).filter((file) => wanted.test(file));
    if (files.length === 0) throw new UserError(`${folder} holds no files for Linux on x64: run npm ci there, then bundle again`);
    for (const file of files) add(folder, name, `${folder}/${file}`);
  }
  return [...byFolder].sort(([a], [b]) => (a < b ? -1 : 1)).map(([folder, { name, files }]) => {
    for (const file of [...files]) for (const manifest of manifestsAbove(file, folder)) if (existsSync(path.join(root, manifest))) files.add(manifest);
    const licenses = licensesIn(folder, root);
    for (const file of licenses) files.add(file);
    const { version = '', license = 'not stated', homepage = '' } = JSON.parse(readFileSync(path.join(root, folder, 'package.json'), 'utf8')) as Partial<PackedPackage>;
    return { name, version, license: typeof license === 'string' ? license : JSON.stringify(license), homepage, part: partOf(name), files: [...files].sort(), licenses };
  });
}

/** The package.json of a file's folder and of those above it, up to the package's. */
function manifestsAbove(file: string, packageFolder: string): string[] {
  const folders: string[] = [];
  for (let folder = path.posix.dirname(file); folder.length >= packageFolder.length; folder = path.posix.dirname(folder)) folders.push(folder);
  return folders.map((folder) => `${folder}/package.json`);
}

function licensesIn(folder: string, root: string): string[] {
  const names = readdirSync(path.join(root, folder), { withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => entry.name);
  const own = names.filter((name) => LICENCE.test(name));
  return (own.length > 0 ? own : names.filter((name) => /^readme(\.|$)/i.test(name))).sort().map((name) => `${folder}/${name}`);
}

/**
 * Files below a folder, with `/` between the parts, sorted; none where there is no such folder. Packages inside a package are not a part of it,
 * hidden files are left out.
 */
export function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const below = (inside: string): string[] => readdirSync(path.join(folder, inside), { withFileTypes: true }).flatMap((entry) => {
    const file = inside === '' ? entry.name : `${inside}/${entry.name}`;
    if (entry.name === 'node_modules' || entry.name.startsWith('.')) return [];
    return entry.isDirectory() ? below(file) : entry.isFile() ? [file] : [];
  });
  return below('').sort();
}
