import type { PackedPackage } from './package-files.js';

/** The bundle's command, for any shell of POSIX. */
export const LAUNCHER = `#!/bin/sh
# Runs a command of Q-DETR with the Node of this folder, e.g. ./qdetr doctor
here=$(dirname -- "$(readlink -f -- "$0")") || exit 1
exec "$here/bin/node" "$here/src/cli/qdetr.mjs" "$@"
`;

/** What a bundle's README.md says. @param commit git's commit @param node version of the Node inside @param withCpuEngine whether onnxruntime is inside */
export function bundleReadme({ commit, node, withCpuEngine }: { commit: string | null; node: string; withCpuEngine: boolean }): string {
  return `# Q-DETR, step by step: the bundle for Linux on x64

Everything to train, evaluate and draw, with Node ${node} and without installing anything. In this folder:

    ./qdetr doctor
    ./qdetr start
    ./qdetr experiment table-2.2 --scale gpu
    ./qdetr --help

Where a text says \`npx qdetr\`, it is \`./qdetr\` here; \`npm start\` is \`./qdetr start\`. Runs go to .runs/, figures to figures/.

* glibc 2.28 or newer is needed, and libstdc++.
* The GPU is used through Vulkan: its driver, the loader libvulkan.so.1 (Debian: libvulkan1), glibc 2.34 and the libstdc++ of GCC 12 (GLIBCXX_3.4.30) or newer.
  \`./qdetr doctor\` says whether it is used, or why not.
* ${withCpuEngine ? 'Without a GPU, onnxruntime computes on the processor.' : 'onnxruntime was left out: without a GPU there is no training.'}
* Not inside: notebooks, tests, onnxruntime in WebAssembly, TensorFlow.
* src/ holds the TypeScript and what was compiled from it, which is what runs: change the program in the repository and bundle again.

Made from commit ${commit ?? 'unknown'}. LICENSE, NOTICE.md and THIRD-PARTY.md say whose work it is.
`;
}

/** The list of what others made in a bundle, with the licence of each. @param nodeLicense where Node's licence lies in the bundle */
export function thirdParty(packages: readonly PackedPackage[], node: string, nodeLicense: string | undefined): string {
  const rows = packages.map(({ name, version, license, homepage, licenses }) => `| ${name} ${version} | ${license} | ${[...licenses, homepage].filter((text) => text !== '').join(' ')} |`);
  return `# What is not of this project

Node ${node}, https://nodejs.org, MIT and the licences of what is in it: ${nodeLicense ?? `https://github.com/nodejs/node/blob/${node}/LICENSE`}

Packages of npm, in part: only what the program uses on Linux x64. Their sources are at https://www.npmjs.com/package/NAME.

| package | licence | its text here; home page |
|---|---|---|
${rows.join('\n')}
`;
}
