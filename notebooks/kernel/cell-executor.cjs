// Runs notebook cells with the project's own tslab. Shared by the Jupyter kernel (kernel.cjs) and by headless
// execution (run-notebook.cjs). The working folder must be the project's root.
const Module = require('node:module');
const path = require('node:path');
const { format } = require('node:util');

process.noDeprecation = true; // Node 22 would complain in a cell's output about a package's use of punycode

const root = process.cwd();
const tslab = (file) => require(path.join(root, 'node_modules/tslab/dist', file));

/** What notebooks are marked with, so that Jupyter opens them with this kernel. */
const METADATA = {
  kernelspec: { display_name: 'TypeScript (Q-DETR)', language: 'typescript', name: 'qdetr-typescript' },
  language_info: {
    codemirror_mode: { mode: 'typescript', name: 'javascript', typescript: true },
    file_extension: '.ts',
    mimetype: 'text/typescript',
    name: 'typescript',
    version: '5.0.4',
  },
};

/** src/figures/show.ts hands its outputs to the function that stands here. */
const DISPLAY = Symbol.for('qdetr.display');

// tslab ignores tsconfig.json: its compiler gets the project's options here. Unused names are no mistake in a notebook.
const ts = Module.createRequire(require.resolve(path.join(root, 'node_modules/tslab/dist/main.js')))('@tslab/typescript-for-tslab');
const strict = {
  ...ts,
  createWatchCompilerHost: (files, options, ...rest) =>
    ts.createWatchCompilerHost(
      files,
      {
        ...options,
        moduleResolution: ts.ModuleResolutionKind.Bundler,
        lib: ['lib.es2023.d.ts'],
        types: ['node'],
        strict: true,
        noImplicitOverride: true,
        noFallthroughCasesInSwitch: true,
        forceConsistentCasingInFileNames: true,
      },
      ...rest,
    ),
};
const load = Module._load;
Module._load = function (id, ...rest) {
  return id === '@tslab/typescript-for-tslab' ? strict : load.call(this, id, ...rest);
};

/** An error as Jupyter wants it. Mistakes of the user are one sentence; others keep the frames that lie in the project. */
function describeError(parts) {
  const [error] = parts;
  if (!(error instanceof Error) && !(error !== null && typeof error === 'object' && 'stack' in error)) {
    const text = format(...parts);
    const isDiagnostic = typeof error === 'string' && error.includes('%d:%d');
    return { ename: isDiagnostic ? 'TypeScript' : 'Thrown', evalue: text, traceback: text.split('\n') };
  }
  const head = `${error.name}: ${error.message}`;
  const frames = String(error.stack)
    .split('\n')
    .filter((line) => /^\s+at /.test(line) && !/node:|node_modules[/\\]tslab|notebooks[/\\]kernel[/\\]/.test(line))
    .map((line) => line.replaceAll('evalmachine.<anonymous>', 'this notebook').replace(/this notebook:\d+:\d+/, 'this notebook').replaceAll(root + path.sep, ''));
  return { ename: error.name, evalue: error.message, traceback: [...head.split('\n'), ...(error.name === 'UserError' ? [] : frames.slice(0, 8))] };
}

/** { execute(source) -> null or an error, executor }: errors are returned, not printed. */
function createCellExecutor() {
  const { createConverter } = tslab('converter.js');
  const { createExecutor } = tslab('executor.js');
  const node = createConverter({ isJS: false, isBrowser: false });
  let errors = [];
  const executor = createExecutor(root, { node, browser: node, close: () => node.close() }, {
    log: (...parts) => console.log(...parts),
    error: (...parts) => errors.push(describeError(parts)),
  });
  const run = executor.execute;
  executor.execute = async (source) => {
    errors = [];
    return run(source);
  };
  /** The error of the cell that was executed last; several diagnostics become one. */
  const lastError = () => {
    const [first] = errors;
    if (first === undefined) return { ename: 'Error', evalue: 'the cell failed without a message', traceback: ['the cell failed without a message'] };
    return { ename: first.ename, evalue: errors.map((error) => error.evalue).join('\n'), traceback: errors.flatMap((error) => error.traceback) };
  };
  return { executor, lastError };
}

module.exports = { DISPLAY, METADATA, createCellExecutor, tslab };
