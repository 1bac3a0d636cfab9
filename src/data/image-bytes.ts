import { statSync } from 'node:fs';
import { UserError, messageOf } from '../errors.js';

/** Length of an image's file. @throws UserError when it is missing or empty */
export function imageBytes(file: string): number {
  let bytes: number;
  try {
    bytes = statSync(file).size;
  } catch (error) {
    throw new UserError(`${file} can't be read (${messageOf(error)}): unpack the images again, or skip what is broken`);
  }
  if (bytes === 0) throw new UserError(`${file} is empty: unpack the images again, or skip what is broken`);
  return bytes;
}
