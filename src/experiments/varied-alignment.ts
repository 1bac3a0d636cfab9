import { z } from 'zod';
import { keyValues } from '../assignments.js';
import { ALIGNMENT_AXES, ALIGNMENT_PLACES, ALIGNMENT_STARTS, type AlignmentSettings } from '../models/distribution-alignment.js';
import { parseStrictly } from '../schema.js';

const alignmentSchema = z.object({
  places: z.array(z.enum(ALIGNMENT_PLACES)).nonempty().refine((places) => new Set(places).size === places.length).describe(`one or more of ${ALIGNMENT_PLACES.join(', ')}, with commas between, each once`),
  axis: z.enum(ALIGNMENT_AXES).describe(`one of ${ALIGNMENT_AXES.join(', ')}`),
  start: z.enum(ALIGNMENT_STARTS).describe(`one of ${ALIGNMENT_STARTS.join(', ')}`),
}).strict();

/** Changes of a distribution alignment as the command line has them: `places` is a text, with commas between. */
export type AlignmentChanges = Readonly<Record<string, unknown>>;

/** What the command line's `--alignment key=value` options say. @throws UserError as `keyValues` does */
export const parseAlignment = (words: readonly string[]): AlignmentChanges => keyValues(words, '--alignment', Object.keys(alignmentSchema.shape), 'places=co-attention.k');

/**
 * A distribution alignment with changes of decisions A10 (places) and A11 (axis), or of its start.
 * @throws UserError that names the key and what it should be
 */
export function changedAlignment(own: AlignmentSettings, changes: AlignmentChanges): AlignmentSettings {
  const { places = [...own.places], ...rest } = changes;
  const list: unknown = typeof places === 'string' ? places.split(',') : places;
  const wanted = parseStrictly(alignmentSchema, { ...own, ...rest, places: list }, '--alignment', 'change it and start again');
  return { ...wanted, places: ALIGNMENT_PLACES.filter((place) => wanted.places.includes(place)) };
}
