import { createRequire } from 'node:module';
import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads';
import 'sharp';
import { UserError, messageOf } from '../../errors.js';
import { projectPath } from '../../files.js';

/** A decoded picture: `channels` bytes a pixel (RGB or RGBA, straight alpha). */
export interface DecodedPicture { data: Uint8Array; width: number; height: number; channels: number }

/** Runs in a worker: decodes every file with sharp into memory that threads can share, posts the pictures and wakes the waiting thread. */
const DECODER = `
const { workerData: { sharp: path, files, port, done } } = require('node:worker_threads');
const sharp = require(path);
const shared = (data) => {
  const copy = new Uint8Array(new SharedArrayBuffer(data.length));
  copy.set(data);
  return copy;
};
Promise.all(files.map((file) => sharp(Buffer.from(file)).raw().toBuffer({ resolveWithObject: true })))
  .then((all) => ({ pictures: all.map(({ data, info }) => ({ data: shared(data), width: info.width, height: info.height, channels: info.channels })) }),
    (error) => ({ error: String(error && error.message) }))
  .then((answer) => { port.postMessage(answer); Atomics.store(done, 0, 1); Atomics.notify(done, 0); });
`;
const LIMIT_MS = 60_000;

/**
 * Decodes picture files while the caller waits: sharp itself only works asynchronously, so a worker thread runs it.
 * @param files contents of WebP, PNG or JPEG files
 * @throws UserError when a file can't be decoded
 */
export function readPictures(files: readonly Uint8Array[]): DecodedPicture[] {
  const { port1, port2 } = new MessageChannel();
  const done = new Int32Array(new SharedArrayBuffer(4));
  const sharp = createRequire(projectPath('package.json')).resolve('sharp');
  const worker = new Worker(DECODER, { eval: true, execArgv: [], workerData: { sharp, files, port: port2, done }, transferList: [port2] });
  worker.on('error', () => undefined);
  worker.unref();
  try {
    if (Atomics.wait(done, 0, 0, LIMIT_MS) === 'timed-out') throw new UserError(`pictures weren't decoded within ${LIMIT_MS / 1000} s: run npm ci again, sharp doesn't start`);
    const answer = receiveMessageOnPort(port1)?.message as { pictures?: DecodedPicture[]; error?: string } | undefined;
    if (!answer?.pictures) throw new UserError(`a picture can't be decoded (${messageOf(answer?.error ?? 'no answer')}): npm ci, then git checkout data-manifests/minivoc`);
    return answer.pictures;
  } finally {
    port1.close();
  }
}
