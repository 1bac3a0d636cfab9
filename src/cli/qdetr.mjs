#!/usr/bin/env node
// The `qdetr` command. TypeScript is run as it is (tsx), so there is no build step between an edit and the next run.
// Only a bundle (`qdetr bundle`) holds it compiled.
import { existsSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = realpathSync(path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..'));

/** One sentence, no stack: for what goes wrong before the command line itself is up. */
function stop(message) {
  console.error(`error: ${message}`);
  process.exit(1);
}

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) stop(`Node ${process.versions.node} is too old: install Node 20.19 or newer`);
if (realpathSync(process.cwd()) !== root) stop(`qdetr runs in the project's own folder: cd ${root}, then start again`);

const isCompiled = existsSync(path.join(root, 'src/cli/main.js'));
if (!isCompiled) {
  const { register } = await import('tsx/esm/api').catch(() => stop(`the packages are not installed: run 'npm ci' in ${root}`));
  register();
}
process.stdout.on('error', (error) => process.exit(error.code === 'EPIPE' ? 0 : 1)); // `npx qdetr … | head`
const { main } = await import(isCompiled ? './main.js' : './main.ts');
process.exitCode = await main(process.argv.slice(2));
