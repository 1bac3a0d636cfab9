import { UserError } from '../errors.js';

/**
 * The whole number that an option says.
 * @param option its name, e.g. `--workers`
 * @param low the least that it may be
 * @throws UserError for anything else
 */
export function wholeNumberOption(option: string, text: string, low = 1): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < low) throw new UserError(`${option} ${text}: should be a whole number of at least ${low}`);
  return value;
}

/** The same for an option that may be left out. */
export const optionalWholeNumber = (option: string, text: string | undefined, low = 1): number | undefined => (text === undefined ? undefined : wholeNumberOption(option, text, low));
