import { mkdirSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { UserError, messageOf } from '../../errors.js';
import type { OnBytes } from './check-file.js';
import { needSpace } from './disk-space.js';
import { discardPartial, partOf, readPartial, writeSidecar, type PartialFile } from './partial-file.js';
import { AddressFails, Hiccup, reason, request, type Answer } from './request.js';

/** What is fetched, and how. */
export interface Download {
  /** What errors call it. */
  name: string;
  /** Addresses, tried one after the other. */
  urls: readonly string[];
  /** The file: it is left beside it, complete and checked, as `<file>.part`. */
  file: string;
  /** Its size, where that is known. */
  bytes: number | null;
  /** Whether `check` would notice every wrong byte: then bytes of one address may be continued with those of another. */
  isChecked: boolean;
  /** Looks at the complete file. @returns what is wrong with it, as the middle of a sentence, or undefined */
  check: (part: string) => Promise<string | undefined>;
  onBytes: OnBytes;
  /** Says what the reader of a screen may wonder about: a mirror that is dead, a download that begins anew. */
  onNote: (text: string) => void;
  signal?: AbortSignal;
  patience?: Patience;
}

/** How long an address is tried. */
export interface Patience {
  /** Failures in a row, without a single new byte, that end it. */
  failures: number;
  /** Seconds to wait after the first failure; each further one waits twice as long, up to 30 s. */
  wait: number;
  /** Seconds without a byte after which a connection counts as cut. */
  idle: number;
}

export const PATIENCE: Patience = { failures: 5, wait: 1, idle: 60 };

/**
 * Downloads a file, going on where an earlier try was cut off.
 *
 * Bytes go to `<file>.part`, and `<file>.part.json` says which address, ETag and date they are of, so that parts of different files are never glued
 * together; a wrong file is thrown away.
 * @returns the address that it came from
 * @throws UserError when no address gives the file; what is there of it is kept. What `signal` is aborted with
 */
export async function download(wanted: Download): Promise<string> {
  const { name, urls, file, onNote } = wanted;
  mkdirSync(path.dirname(file), { recursive: true });
  const failures: string[] = [];
  for (const url of urls) {
    const problem = await fromAddress(wanted, url);
    if (problem === undefined) return url;
    failures.push(`${new URL(url).host} ${problem}`);
    if (url !== urls[urls.length - 1]) onNote(`${new URL(url).host} ${problem}: trying the next address`);
  }
  const kept = readPartial(file).bytes;
  throw new UserError(`${name} can't be fetched (${failures.join('; ')}): ${kept > 0 ? `the same command goes on after ${kept} bytes` : 'try again later'}, or get ${path.basename(file)} in another way and name it with --from FILE`);
}

/** Tries one address until it gives the file. @returns why it doesn't, or undefined when it did */
async function fromAddress(wanted: Download, url: string): Promise<string | undefined> {
  const { file, signal, patience = PATIENCE } = wanted;
  let most = readPartial(file).bytes, failed = 0, isSecondTry = false;
  for (;;) {
    signal?.throwIfAborted();
    try {
      await attempt(wanted, url);
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof AddressFails) return error.message;
      if (!(error instanceof Hiccup)) throw error;
      const have = readPartial(file).bytes;
      failed = have > most ? 0 : failed + 1;
      most = Math.max(most, have);
      if (failed >= patience.failures) return error.message;
      await pause(error.wait ?? Math.min(30, patience.wait * 2 ** Math.max(0, failed - 1)), signal);
      continue;
    }
    const { sidecar } = readPartial(file);
    const wrong = await wanted.check(partOf(file));
    if (wrong === undefined) return undefined;
    discardPartial(file);
    if (!sidecar?.mixed || isSecondTry) return `sends another file: ${wrong}`;
    isSecondTry = true;
    wanted.onNote(`${wrong}, perhaps because its parts are of different addresses: beginning anew`);
  }
}

/** One request, and its body to the end. @throws Hiccup, AddressFails, UserError when the file can't be written */
async function attempt(wanted: Download, url: string): Promise<void> {
  const { name, file, bytes, onNote } = wanted;
  const part = usable(wanted, url);
  if (part.bytes > 0 && part.bytes === (bytes ?? part.sidecar?.total)) return;
  const quiet = new AbortController(), onStop = (): void => quiet.abort(wanted.signal!.reason);
  wanted.signal?.addEventListener('abort', onStop, { once: true });
  const idle = (wanted.patience ?? PATIENCE).idle;
  const alarm = setTimeout(() => quiet.abort(new Hiccup(`sent nothing for ${idle} s`)), idle * 1000);
  try {
    const isSameSource = part.sidecar?.url === url;
    const answer = await request(url, part.bytes, isSameSource ? part.sidecar : undefined, quiet.signal);
    if (answer.kind === 'complete' && (bytes === null || bytes === part.bytes)) return;
    if (answer.kind === 'complete' || answer.kind === 'unusable') {
      discardPartial(file);
      throw new Hiccup('sends other bytes than were asked for, or another file than before');
    }
    const from = answer.kind === 'rest' ? part.bytes : 0;
    if (from < part.bytes) onNote(`${new URL(url).host} sends the whole file, not its rest: beginning anew`);
    if (bytes !== null && answer.total !== null && answer.total !== bytes) throw new AddressFails(`has a file of ${answer.total} bytes, not ${bytes}`);
    const total = bytes ?? answer.total;
    if (total !== null) needSpace(path.dirname(file), total - from, name);
    writeSidecar(file, { url, etag: answer.etag, lastModified: answer.lastModified, total: answer.total, mixed: from > 0 && (part.sidecar!.mixed || !isSameSource) });
    const done = await write(wanted, answer, from, total, () => alarm.refresh());
    if (total && done < total) throw new Hiccup(`cut the connection after ${done} of ${total} bytes`);
    if (done === 0) throw new Hiccup('sent an empty file');
  } catch (error) {
    wanted.signal?.throwIfAborted();
    throw quiet.signal.aborted ? quiet.signal.reason : error;
  } finally {
    clearTimeout(alarm);
    wanted.signal?.removeEventListener('abort', onStop);
    quiet.abort();
  }
}

/** What of an unfinished download this address can continue; the rest is thrown away. */
function usable({ file, bytes, isChecked }: Download, url: string): PartialFile {
  const part = readPartial(file);
  const known = part.sidecar?.url === url && Boolean(part.sidecar.etag ?? part.sidecar.lastModified);
  const isTooLong = part.bytes > (bytes ?? part.sidecar?.total ?? Infinity);
  if (part.bytes > 0 && !isTooLong && (known || isChecked)) return part;
  discardPartial(file);
  return { bytes: 0, sidecar: undefined };
}

/** Writes a body behind what is there. @returns bytes of the file then @throws Hiccup when the connection is cut, AddressFails when there is too much */
async function write({ file, onBytes }: Download, answer: Answer, from: number, total: number | null, onChunk: () => void): Promise<number> {
  const part = partOf(file);
  const failed = (error: unknown): never => { throw new UserError(`${part} can't be written (${messageOf(error)}): free some space or choose another folder with --data; the same command goes on from there`); };
  const handle = await open(part, from > 0 ? 'r+' : 'w').catch(failed);
  let done = from;
  try {
    onBytes(done, total);
    const chunks = answer.body?.[Symbol.asyncIterator]();
    for (;;) {
      const next = await chunks?.next().catch((error: unknown) => { throw new Hiccup(reason(error)); });
      if (!next || next.done) break;
      onChunk();
      const chunk = next.value;
      if (total !== null && done + chunk.length > total) {
        discardPartial(file);
        throw new AddressFails(`sends more than ${total} bytes`);
      }
      for (let at = 0; at < chunk.length; ) at += (await handle.write(chunk, at, chunk.length - at, done + at).catch(failed)).bytesWritten;
      onBytes((done += chunk.length), total);
    }
    await handle.sync().catch(failed);
  } finally {
    await handle.close();
  }
  return done;
}

const pause = (seconds: number, signal: AbortSignal | undefined): Promise<void> => new Promise((resolve, reject) => {
  const stop = (): void => {
    clearTimeout(timer);
    reject(signal!.reason as Error);
  };
  const timer = setTimeout(() => {
    signal?.removeEventListener('abort', stop);
    resolve();
  }, seconds * 1000);
  signal?.addEventListener('abort', stop, { once: true });
});

/** How much of a download is there, in bytes. */
export const partialBytes = (file: string): number => statSync(partOf(file), { throwIfNoEntry: false })?.size ?? 0;
