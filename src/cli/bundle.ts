import path from 'node:path';
import type { Command } from 'commander';
import { makeBundle, type Bundle } from './bundle/make-bundle.js';
import { BUNDLE_FOLDER } from './bundle/parts.js';
import { formatDuration } from './progress.js';

/** What the archive should not exceed, so that it is copied and kept easily. */
const WANTED_BYTES = 60e6;

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);

/** The text of `qdetr bundle`: its parts with their sizes, what it is, how it is used. */
export function bundleReport({ parts, packages, bytes, sha256, notes }: Bundle, output: string, withCpuEngine: boolean): string {
  const row = (title: string, files: string, unpacked: string, packed: string): string => `  ${title.padEnd(16)}${files.padStart(8)}${unpacked.padStart(12)}${packed.padStart(12)}`;
  const sum = (key: 'files' | 'bytes'): number => parts.reduce((total, part) => total + part[key], 0);
  return [
    row('', 'files', 'MB unpacked', 'MB packed'),
    ...parts.map((part) => row(part.title, String(part.files), megabytes(part.bytes), megabytes(part.packed))),
    row('together', String(sum('files')), megabytes(sum('bytes')), megabytes(bytes)),
    '',
    ...notes.map((note) => `${note}.`),
    ...(bytes > WANTED_BYTES ? [`More than ${megabytes(WANTED_BYTES)} MB${withCpuEngine ? ': --without-cpu-engine leaves out onnxruntime; Node 20 is smaller than later ones' : ''}.`] : []),
    `${output}: ${packages} packages, ${bytes} bytes, SHA-256 ${sha256}`,
    `On a Linux machine on x64: tar xf ${path.basename(output)} && cd ${BUNDLE_FOLDER} && ./qdetr doctor`,
  ].join('\n');
}

/** `qdetr bundle`: one archive that runs on a Linux machine with nothing but a GPU's driver. */
export function bundleCommand(program: Command): void {
  program
    .command('bundle')
    .description('one archive with Node, program, packages and data, for Linux machines on x64 that have neither Node nor a network')
    .option('--output <file>', 'the archive, a .tar.xz', path.join('.cache', 'qdetr-linux-x64.tar.xz'))
    .option('--without-cpu-engine', 'leave out onnxruntime: training then needs a GPU')
    .action(async ({ output, withoutCpuEngine = false }: { output: string; withoutCpuEngine?: boolean }) => {
      const begun = performance.now();
      const bundle = await makeBundle({ output, withCpuEngine: !withoutCpuEngine, preset: 9, onBegin: () => console.error('Packing takes one to four minutes: xz at its smallest.') });
      console.log(bundleReport(bundle, output, !withoutCpuEngine));
      console.error(`Packed in ${formatDuration((performance.now() - begun) / 1000)}.`);
    });
}
