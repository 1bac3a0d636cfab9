import { UserError } from './errors.js';
import { nearestName } from './schema.js';

/**
 * What `key=value` words of the command line say. Values that read as numbers are numbers.
 * @param option what errors call the words' option, e.g. `--set`
 * @param known the keys that there are
 * @param example a word as it should be
 * @throws UserError for a word without `=`, an unknown key (with the nearest known one), or a key that is set twice
 */
export function keyValues(words: readonly string[], option: string, known: readonly string[], example: string): Record<string, unknown> {
  const values = new Map<string, unknown>();
  for (const word of words) {
    const [, key, value] = /^([^=]*)=(.*)$/s.exec(word) ?? [];
    if (key === undefined) throw new UserError(`${option} ${word}: should be key=value, e.g. ${option} ${example}`);
    if (!known.includes(key)) {
      const near = nearestName(key, known);
      throw new UserError(`${option} ${word}: '${key}' is unknown, ${near ? `did you mean '${near}'?` : `the keys are ${known.join(', ')}`}`);
    }
    if (values.has(key)) throw new UserError(`${option} ${word}: '${key}' is set twice: keep one of them`);
    values.set(key, value.trim() !== '' && Number.isFinite(Number(value)) ? Number(value) : value);
  }
  return Object.fromEntries(values);
}
