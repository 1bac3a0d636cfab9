/** Runs in a thread of a decode pool: decodes and transforms one image after another. */
import { parentPort } from 'node:worker_threads';
import { messageOf } from '../errors.js';
import { decodeAndTransform } from './decode-image.js';
import type { DecodeAnswer, DecodeOrder } from './decode-pool.js';

parentPort?.on('message', ({ number, task }: DecodeOrder) => {
  const answer = (message: DecodeAnswer, buffers: ArrayBuffer[] = []): void => parentPort?.postMessage(message, buffers);
  void decodeAndTransform(task).then(
    (image) => {
      const isOwn = image.pixels.byteLength === image.pixels.buffer.byteLength; // a Buffer may lie in memory that others share
      const pixels = isOwn ? image.pixels : image.pixels.slice();
      answer({ number, image: { ...image, pixels } }, [pixels.buffer as ArrayBuffer]);
    },
    (error: unknown) => answer({ number, error: messageOf(error) }),
  );
});
