import * as aq from 'arquero';
import test from 'ava';
import { UserError } from '../../src/errors.js';
import { figure212b } from '../../src/figures/figure-2.12b.js';
import { showBundle, showFigure, showImage, showMarkdown, showTable, type MimeBundle } from '../../src/figures/show.js';

const DISPLAY = Symbol.for('qdetr.display');
const PNG = Buffer.from([0x89, 0x50, 0x4e, 0x47]);

/** What `show` hands to the kernel. */
async function shown(show: () => unknown): Promise<MimeBundle> {
  let bundle: MimeBundle | undefined;
  const slots = globalThis as Record<symbol, unknown>;
  slots[DISPLAY] = (data: MimeBundle) => (bundle = data);
  try {
    await show();
  } finally {
    delete slots[DISPLAY];
  }
  return bundle!;
}

test.serial('a figure is one output: live Vega-Lite 5 and PNG', async (t) => {
  const figure = figure212b({ recorded: [], fresh: [] });
  const bundle = await shown(() => showFigure(figure));
  t.deepEqual(Object.keys(bundle).sort(), ['application/vnd.vegalite.v5+json', 'image/png', 'text/plain']);
  t.is(bundle['application/vnd.vegalite.v5+json'], figure);
  t.true(Buffer.from(bundle['image/png'] as string, 'base64').subarray(0, 4).equals(PNG));
});

test.serial('a table is HTML and text; a long one is cut', async (t) => {
  const table = aq.table({ method: ['Baseline', '+ DA', '+ FQM'], ap50: [69.7, 71.6, 74.9] });
  const bundle = await shown(() => showTable(table, 2));
  t.regex(bundle['text/html'] as string, /^<table>.*69\.7.*71\.6.*<\/table>/s);
  t.notRegex(bundle['text/html'] as string, /74\.9/);
  t.regex(bundle['text/plain'] as string, /\|\s*Baseline\s*\|\s*69\.7\s*\|/);
});

test.serial('an image is a PNG', async (t) => {
  const bundle = await shown(() => showImage(new Uint8Array(12).fill(200), 2, 2));
  t.true(Buffer.from(bundle['image/png'] as string, 'base64').subarray(0, 4).equals(PNG));
});

test.serial('markdown stays readable as text', async (t) => {
  t.deepEqual(await shown(() => showMarkdown('**a**')), { 'text/markdown': '**a**', 'text/plain': '**a**' });
});

test.serial('outside of a notebook one sentence says what is missing', (t) => {
  t.throws(() => showBundle({}), { instanceOf: UserError, message: /choose the kernel 'TypeScript \(Q-DETR\)'/ });
});
