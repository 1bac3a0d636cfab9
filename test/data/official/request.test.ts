import test from 'ava';
import { AddressFails, Hiccup, reason, request } from '../../../src/data/official/request.js';

/** What a request makes of a response that no server on this machine can give. */
async function answered(url: string, response: Response, at: string): Promise<unknown> {
  const original = globalThis.fetch;
  globalThis.fetch = async () => Object.defineProperty(response, 'url', { value: at });
  try {
    return await request(url, 0, undefined, new AbortController().signal).catch((error: unknown) => error);
  } finally {
    globalThis.fetch = original;
  }
}

test.serial('an encrypted address may not lead to one that is not', async (t) => {
  const error = await answered('https://host/a', new Response('x'), 'http://other/a');
  t.true(error instanceof AddressFails);
  t.is((error as Error).message, 'leads to http://other/a, which is not encrypted');
  t.like(await answered('https://host/a', new Response('x'), 'https://other/a'), { kind: 'whole', total: null });
  t.like(await answered('http://host/a', new Response('x', { headers: { 'content-length': '1' } }), 'http://other/a'), { kind: 'whole', total: 1 });
});

test.serial('Retry-After: seconds or a date, a minute at most', async (t) => {
  const waits = async (header: string): Promise<number | undefined> => ((await answered('http://host/a', new Response('', { status: 429, headers: { 'retry-after': header } }), 'http://host/a')) as Hiccup).wait;
  t.is(await waits('7'), 7);
  t.is(await waits('3600'), 60);
  t.is(await waits('Tue, 06 Nov 2007 10:00:00 GMT'), 0);
  t.is(await waits('soon'), undefined);
});

test('errors of the network in words', (t) => {
  t.is(reason(Object.assign(new TypeError('fetch failed'), { cause: Object.assign(new Error('x'), { code: 'ENOTFOUND' }) })), 'is not known to the name server');
  t.is(reason(new TypeError('fetch failed', { cause: new Error('unable to verify the first certificate') })), 'fails (unable to verify the first certificate)');
  t.is(reason(Object.assign(new Error(''), { code: 'EODD' })), 'fails (EODD)');
});
