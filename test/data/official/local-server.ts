/** A web server on this machine that behaves as badly as it is told. */
import { statSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A request as the server saw it. */
export interface Seen { path: string; range: string | undefined; ifRange: string | undefined }

/** What answers a request; the default, {@link serve}, is what a good server does. */
export type Answerer = (request: IncomingMessage, response: ServerResponse, seen: Seen) => void;

/** A running server. */
export interface LocalServer {
  /** e.g. `http://127.0.0.1:4321` */
  url: string;
  seen: Seen[];
  close: () => Promise<void>;
}

/** Starts a server; paths without an answerer are answered 404. */
export async function localServer(answerers: Record<string, Answerer>): Promise<LocalServer> {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    const one = { path: request.url!, range: request.headers.range, ifRange: request.headers['if-range'] as string | undefined };
    seen.push(one);
    const answerer = answerers[one.path];
    if (answerer) answerer(request, response, one);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen,
    close: () => new Promise((resolve) => {
      server.closeAllConnections();
      server.close(() => resolve());
    }),
  };
}

/** What a good server says of a file. */
export interface Serving {
  etag?: string | null;
  lastModified?: string | null;
  /** Bytes of the body after which the connection is cut. */
  cutAfter?: number;
  /** Headers that take the place of the right ones. */
  headers?: Record<string, string>;
  /** Whether ranges are answered with the whole file. */
  ignoresRanges?: boolean;
  ignoresIfRange?: boolean;
  /** The file that the client writes to: the connection is cut when every byte is in it. */
  part?: string;
}

/** Waits until a file has that many bytes: what a client has received and not written is lost when its connection is cut. */
export function whenWritten(file: string, bytes: number, then: () => void): void {
  const timer = setInterval(() => {
    if (statSync(file, { throwIfNoEntry: false })?.size !== bytes) return;
    clearInterval(timer);
    then();
  }, 5);
  timer.unref();
}

/** Sends a file, or the part that is asked for (RFC 9110, section 14). */
export function serve(content: Uint8Array, response: ServerResponse, seen: Seen, { etag = '"a"', lastModified = null, cutAfter, part, headers = {}, ignoresRanges, ignoresIfRange }: Serving = {}): void {
  const from = Number(/^bytes=(\d+)-$/.exec(seen.range ?? '')?.[1] ?? 0);
  const isOther = !ignoresIfRange && seen.ifRange !== undefined && seen.ifRange !== etag && seen.ifRange !== lastModified;
  const validators = { ...(etag === null ? {} : { etag }), ...(lastModified === null ? {} : { 'last-modified': lastModified }) };
  if (seen.range !== undefined && from >= content.length && !ignoresRanges) {
    response.writeHead(416, { 'content-range': `bytes */${content.length}`, ...headers }).end();
    return;
  }
  const isPart = seen.range !== undefined && !ignoresRanges && !isOther, body = content.subarray(isPart ? from : 0);
  response.writeHead(isPart ? 206 : 200, {
    'content-length': String(body.length), ...(isPart ? { 'content-range': `bytes ${from}-${content.length - 1}/${content.length}` } : {}), ...validators, ...headers,
  });
  if (cutAfter === undefined) response.end(body);
  else {
    response.flushHeaders();
    if (cutAfter > 0) response.write(body.subarray(0, cutAfter));
    whenWritten(part!, (isPart ? from : 0) + cutAfter, () => response.destroy());
  }
}
