import { existsSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { projectPath } from '../files.js';

const made = new Map<string, Promise<string>>();

/**
 * JavaScript that runs a file of the project in a thread (`new Worker(code, { eval: true })`). The file and what it imports are compiled into one piece, once in a
 * process: a thread that compiles TypeScript itself takes a second to start, this one a tenth. A bundle has the file compiled.
 * @param source the file in TypeScript, e.g. `src/data/minivoc/compose-worker.ts`
 */
export function threadCode(source: string): Promise<string> {
  const code = made.get(source) ?? compiledCode(source);
  made.set(source, code);
  return code;
}

async function compiledCode(source: string): Promise<string> {
  const file = projectPath(source), compiled = file.replace(/\.ts$/, '.js');
  if (existsSync(compiled)) return `import(${JSON.stringify(pathToFileURL(compiled).href)})`;
  const { build } = await import('esbuild');
  const { outputFiles } = await build({ entryPoints: [file], bundle: true, write: false, platform: 'node', format: 'cjs', target: 'node20.19', packages: 'external', logLevel: 'silent' });
  return outputFiles[0].text;
}
