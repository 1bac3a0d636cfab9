import type { ZodIssue, ZodTypeAny, z } from 'zod';
import { UserError } from './errors.js';

/**
 * Checks data from outside against a zod schema. A schema's `.describe()` text is what its error says was expected
 * (`'steps' should be a whole number of at least 1, but is "many"`).
 * @param file where the data comes from, as errors call it
 * @param remedy what to do about it, e.g. `delete the folder to train again`
 * @throws UserError that names file, key, what was expected and what was found
 */
export function parseStrictly<S extends ZodTypeAny>(schema: S, data: unknown, file: string, remedy: string): z.output<S> {
  const result = schema.safeParse(data);
  if (result.success) return result.data as z.output<S>;
  throw new UserError(`${file}: ${explain(schema, data, result.error.issues[0])}: ${remedy}`);
}

/** The name among `known` that a misspelt one most likely meant, or undefined where none is near. */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  const ranked = known.map((candidate) => ({ candidate, distance: editDistance(name.toLowerCase(), candidate.toLowerCase()) })).sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  return best !== undefined && best.distance <= Math.max(2, Math.ceil(best.candidate.length / 3)) ? best.candidate : undefined;
}

function explain(schema: ZodTypeAny, data: unknown, issue: ZodIssue): string {
  if (issue.code === 'unrecognized_keys') {
    const known = Object.keys(shapeOf(at(schema, issue.path)) ?? {});
    const near = nearestName(issue.keys[0], known);
    return `'${[...issue.path, issue.keys[0]].join('.')}' is unknown, ${near ? `did you mean '${near}'?` : `the keys are ${known.join(', ')}`}`;
  }
  const key = issue.path.length > 0 ? `'${issue.path.join('.')}'` : 'it';
  const value = issue.path.reduce<unknown>((inside, step) => (inside as Record<string | number, unknown> | null | undefined)?.[step], data);
  const description = at(schema, issue.path)?.description;
  const found = value === undefined ? 'is missing' : `is ${shortened(typeof value === 'number' ? String(value) : JSON.stringify(value) ?? String(value))}`;
  return description ? `${key} should be ${description}, but ${found}` : `${key} ${found} (${issue.message})`;
}

const shortened = (text: string): string => (text.length > 60 ? `${text.slice(0, 57)}...` : text);

/** The schema at a path through objects and lists; undefined where the path leaves them. */
function at(schema: ZodTypeAny, path: readonly (string | number)[]): ZodTypeAny | undefined {
  return path.reduce<ZodTypeAny | undefined>((inside, key) => inside && (elementOf(inside) ?? shapeOf(inside)?.[key]), schema);
}

const elementOf = (schema: ZodTypeAny): ZodTypeAny | undefined => ('element' in schema ? (schema.element as ZodTypeAny) : undefined);

/** The keys of an object's schema, optional or refined ones included. */
function shapeOf(schema: ZodTypeAny | undefined): Record<string, ZodTypeAny> | undefined {
  if (schema === undefined) return undefined;
  if ('shape' in schema) return schema.shape as Record<string, ZodTypeAny>;
  const { innerType, schema: refined } = schema._def as { innerType?: ZodTypeAny; schema?: ZodTypeAny };
  return shapeOf(innerType ?? refined);
}

/** Levenshtein's distance: the least number of letters added, taken away or changed. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    row = next;
  }
  return row[b.length];
}
