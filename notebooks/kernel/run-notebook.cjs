// Executes the code cells of one notebook without Jupyter or Python and sends what they put out to the parent process
// (src/cli/run-notebook.ts): { metadata } first, then { cell, outputs, error } for each, then { done }.
const fs = require('node:fs');
const { DISPLAY, METADATA, createCellExecutor, tslab } = require('./cell-executor.cjs');

const linesOf = (text) => text.split(/(?<=\n)/);
const send = (message) => new Promise((resolve) => process.send(message, resolve));

/** Base64 and JSON stay as they are; text is kept in lines, as notebooks keep it. */
const stored = (data) =>
  Object.fromEntries(Object.entries(data).map(([type, value]) => [type, type.startsWith('text/') || type === 'image/svg+xml' ? linesOf(value) : value]));

async function main(file) {
  const { executor, lastError } = createCellExecutor();
  const notebook = JSON.parse(fs.readFileSync(file, 'utf8'));
  await send({ metadata: METADATA });
  for (const [cell, { cell_type: type, source }] of notebook.cells.entries()) {
    if (type !== 'code') continue;
    const outputs = [];
    const collect = (name) => (chunk, encoding, callback) => {
      const text = typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString('utf8');
      const last = outputs.at(-1);
      if (last?.name === name) last.text = linesOf(last.text.join('') + text);
      else outputs.push({ output_type: 'stream', name, text: linesOf(text) });
      (typeof encoding === 'function' ? encoding : callback)?.();
      return true;
    };
    process.stdout.write = collect('stdout');
    process.stderr.write = collect('stderr');
    globalThis[DISPLAY] = (data, metadata = {}) => outputs.push({ output_type: 'display_data', data: stored(data), metadata });
    tslab('jupyter.js').lastWriteDisplayData = ({ data, metadata }) => globalThis[DISPLAY](data, metadata);
    await send({ cell });
    const ok = await executor.execute(Array.isArray(source) ? source.join('') : source);
    await new Promise(setImmediate);
    const error = ok ? null : lastError();
    if (error !== null) outputs.push({ output_type: 'error', ...error });
    await send({ cell, outputs, error });
    if (error !== null) break;
  }
  await send({ done: true });
  process.exit(0);
}

main(process.argv[2]);
