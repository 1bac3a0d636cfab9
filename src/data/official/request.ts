import { messageOf } from '../../errors.js';
import type { Sidecar } from './partial-file.js';

/** An attempt failed that may succeed a moment later: a cut connection, a busy server. */
export class Hiccup extends Error {
  /** @param wait seconds that the server asks to wait */
  constructor(message: string, readonly wait?: number) { super(message); }
}

/** This address won't do, however often it is tried. */
export class AddressFails extends Error {}

/** What a server answered: from which byte on its body goes, and of how many. */
export interface Answer {
  /** `whole`: the body is the file from its first byte; `rest`: from the byte that was asked for; `complete`: there is nothing after it; `unusable`: begin anew. */
  kind: 'whole' | 'rest' | 'complete' | 'unusable';
  total: number | null;
  etag: string | null;
  lastModified: string | null;
  body: AsyncIterable<Uint8Array> | null;
}

/**
 * Asks for a file, or for what is missing of it (RFC 9110, sections 13.1.5 and 14): the rest only if the file is still the one that its first
 * part is of, as far as the server can tell.
 * @param from bytes that are there already
 * @param part where these come from; undefined where they are of another address, so that nothing can be said about them but their number
 * @throws Hiccup, AddressFails; what `signal` is aborted with
 */
export async function request(url: string, from: number, part: Sidecar | undefined, signal: AbortSignal): Promise<Answer> {
  const response = await fetch(url, { headers: { 'accept-encoding': 'identity', ...(from > 0 ? { range: `bytes=${from}-`, ...condition(part) } : {}) }, signal }).catch((error: unknown) => {
    signal.throwIfAborted();
    throw new Hiccup(reason(error));
  });
  try {
    return answer(response, url, from, part);
  } catch (error) {
    await response.body?.cancel().catch(() => {});
    throw error;
  }
}

/** If-Range takes a strong ETag or a date. */
function condition(part: Sidecar | undefined): Record<string, string> {
  const validator = part?.etag && !part.etag.startsWith('W/') ? part.etag : part?.lastModified;
  return validator ? { 'if-range': validator } : {};
}

function answer(response: Response, url: string, from: number, part: Sidecar | undefined): Answer {
  const { status, headers } = response;
  if (url.startsWith('https:') && response.url.startsWith('http:')) throw new AddressFails(`leads to ${response.url}, which is not encrypted`);
  if (status === 408 || status === 425 || status === 429 || status >= 500) throw new Hiccup(`answers ${statusText(response)}`, waitOf(headers.get('retry-after')));
  const etag = headers.get('etag'), lastModified = headers.get('last-modified');
  const body = response.body as AsyncIterable<Uint8Array> | null;
  if (status === 416 && from > 0) {
    return { kind: /^bytes \*\/(\d+)$/.exec(headers.get('content-range') ?? '')?.[1] === String(from) ? 'complete' : 'unusable', total: from, etag, lastModified, body: null };
  }
  if (status !== 200 && status !== 206) throw new AddressFails(`answers ${statusText(response)}`);
  const encoding = headers.get('content-encoding');
  if (encoding !== null && encoding !== 'identity') throw new AddressFails(`sends the file compressed (${encoding})`);
  if (status === 200) {
    if (/^text\/html\b/i.test(headers.get('content-type') ?? '')) throw new AddressFails('sends a web page, not the file');
    return { kind: 'whole', total: lengthOf(headers), etag, lastModified, body };
  }
  const range = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(headers.get('content-range') ?? '');
  const total = range === null ? null : range[3] === '*' ? lengthOf(headers, from) : Number(range[3]);
  const isOther = (before: string | null | undefined, now: string | null): boolean => Boolean(before && now && before !== now);
  const fits = range !== null && Number(range[1]) === from && (total === null || Number(range[2]) === total - 1)
    && !isOther(part?.etag, etag) && !isOther(part?.lastModified, lastModified) && (!part || part.total === null || total === null || part.total === total);
  return { kind: fits ? 'rest' : 'unusable', total, etag, lastModified, body };
}

function lengthOf(headers: Headers, before = 0): number | null {
  const length = headers.get('content-length');
  return length !== null && /^\d+$/.test(length) ? before + Number(length) : null;
}

const statusText = ({ status, statusText: text }: Response): string => `${status}${text ? ` ${text}` : ''}`;

/** Seconds of a Retry-After header: a number, or a date. */
function waitOf(header: string | null): number | undefined {
  if (header === null) return undefined;
  const seconds = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.min(60, Math.max(0, seconds)) : undefined;
}

/** Why a request failed, in the words of the network. */
export function reason(error: unknown): string {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  const known: Record<string, string> = { ENOTFOUND: 'is not known to the name server', EAI_AGAIN: 'is not known to the name server just now', ECONNREFUSED: 'refuses the connection', ECONNRESET: 'cut the connection', UND_ERR_SOCKET: 'cut the connection', EPIPE: 'cut the connection', ETIMEDOUT: 'does not answer', UND_ERR_CONNECT_TIMEOUT: 'does not answer', UND_ERR_HEADERS_TIMEOUT: 'does not answer', UND_ERR_BODY_TIMEOUT: 'stopped sending', ENETUNREACH: 'is out of reach', EHOSTUNREACH: 'is out of reach' };
  const { code } = cause as { code?: string };
  return (code && known[code]) ?? `fails (${messageOf(cause) || code || 'no reason given'})`;
}
