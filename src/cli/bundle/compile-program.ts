import { existsSync } from 'node:fs';
import path from 'node:path';
import { UserError, messageOf } from '../../errors.js';
import { filesBelow } from './package-files.js';

/** The program as plain Node runs it. */
export interface CompiledProgram {
  /** JavaScript beside each TypeScript file: path from the project's root, content. */
  scripts: Map<string, Uint8Array>;
  /** Every file that the program imports, statically or not, its own among them: paths from the project's root. */
  imported: string[];
}

/** What is not packed: optional packages, the compiler, and onnxruntime in WebAssembly (14 MB), for machines that its native library does not fit. */
const LEFT_OUT = ['@tensorflow/tfjs-node', '@tensorflow/tfjs-node-gpu', 'onnxruntime-web', 'canvas', 'esbuild'];

/**
 * Compiles the program's TypeScript file by file, so that a bundle needs no compiler, and follows its imports into the packages.
 * @param folder the source, e.g. `src`
 * @throws UserError when packages are missing or the source has errors
 */
export async function compileProgram(folder = 'src'): Promise<CompiledProgram> {
  const { build } = await import('esbuild').catch(() => {
    throw new UserError('the packages are not installed: run npm ci, then bundle again');
  });
  const entryPoints = filesBelow(folder).filter((file) => file.endsWith('.ts')).map((file) => path.posix.join(folder, file));
  const common = { entryPoints, outdir: folder, outbase: folder, write: false, platform: 'node', format: 'esm', target: 'node20.19', logLevel: 'silent' } as const;
  try {
    const { outputFiles } = await build(common);
    const scripts = new Map(outputFiles.map(({ path: file, contents }) => [path.relative('.', file).split(path.sep).join('/'), contents]));
    const { metafile } = await build({ // packages say that files have no side effects; that they register kernels is one
      ...common, bundle: true, splitting: true, metafile: true, ignoreAnnotations: true, preserveSymlinks: true, external: LEFT_OUT, loader: { '.node': 'empty' },
    });
    return { scripts, imported: Object.keys(metafile.inputs).filter((file) => existsSync(file)).sort() };
  } catch (error) {
    throw new UserError(`${folder} can't be compiled (${messageOf(error).split('\n').slice(0, 2).join(' ')}): run npm ci, then npm run typecheck`);
  }
}
