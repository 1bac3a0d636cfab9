/** The JSON Schema (draft 2020-12) that says what a zod schema says, for the kinds that the manifests' schema is made of. */
import { z } from 'zod';

type Json = Record<string, unknown>;

/** @throws Error when the schema has something that this doesn't know, so that nothing is left out silently */
export function jsonSchema(schema: z.ZodTypeAny): Json {
  const description = schema.description === undefined ? {} : { description: schema.description };
  return { ...description, ...body(schema) };
}

function body(schema: z.ZodTypeAny): Json {
  if (schema instanceof z.ZodOptional) return jsonSchema(schema.unwrap() as z.ZodTypeAny);
  if (schema instanceof z.ZodNullable) {
    const inner = jsonSchema(schema.unwrap() as z.ZodTypeAny);
    delete inner.description;
    return { anyOf: [inner, { type: 'null' }] };
  }
  if (schema instanceof z.ZodObject) {
    if (schema._def.unknownKeys !== 'strict') throw new Error('objects should be strict');
    const shape = schema.shape as Record<string, z.ZodTypeAny>;
    return {
      type: 'object', additionalProperties: false,
      required: Object.entries(shape).filter(([, value]) => !value.isOptional()).map(([key]) => key),
      properties: Object.fromEntries(Object.entries(shape).map(([key, value]) => [key, jsonSchema(value)])),
    };
  }
  if (schema instanceof z.ZodArray) return { type: 'array', items: jsonSchema(schema.element as z.ZodTypeAny), ...(schema._def.minLength ? { minItems: schema._def.minLength.value } : {}) };
  if (schema instanceof z.ZodEnum) return { enum: schema.options as unknown };
  if (schema instanceof z.ZodLiteral) return { const: schema.value as unknown };
  if (schema instanceof z.ZodString) {
    return Object.assign({ type: 'string' }, ...schema._def.checks.map((check) => {
      if (check.kind === 'regex') return { pattern: check.regex.source };
      if (check.kind === 'min') return { minLength: check.value };
      throw new Error(`unknown check ${check.kind}`);
    })) as Json;
  }
  if (schema instanceof z.ZodNumber) {
    return Object.assign({ type: 'number' }, ...schema._def.checks.map((check) => {
      if (check.kind === 'int') return { type: 'integer' };
      if (check.kind === 'min' && !check.inclusive) return { exclusiveMinimum: check.value };
      throw new Error(`unknown check ${check.kind}`);
    })) as Json;
  }
  throw new Error(`unknown schema ${schema.constructor.name}`);
}

/** Whether a value fits such a JSON Schema. @returns where it doesn't, or undefined */
export function misfit(schema: Json, value: unknown, at = ''): string | undefined {
  const { anyOf, type, pattern, properties, required, items } = schema as { anyOf?: Json[]; type?: string; pattern?: string; properties?: Record<string, Json>; required?: string[]; items?: Json };
  if (anyOf) return anyOf.some((one) => misfit(one, value) === undefined) ? undefined : at;
  if ('const' in schema && schema.const !== value) return at;
  if ('enum' in schema && !(schema.enum as unknown[]).includes(value)) return at;
  if (type === 'null') return value === null ? undefined : at;
  if (type === 'string') return typeof value === 'string' && value.length >= Number(schema.minLength ?? 0) && (!pattern || new RegExp(pattern).test(value)) ? undefined : at;
  if (type === 'integer') return Number.isInteger(value) && (value as number) > Number(schema.exclusiveMinimum ?? -Infinity) ? undefined : at;
  if (type === 'array') return Array.isArray(value) && value.length >= Number(schema.minItems ?? 0) ? value.map((one, i) => misfit(items!, one, `${at}.${i}`)).find((one) => one !== undefined) : at;
  if (type !== 'object') return undefined;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return at;
  const missing = required!.find((key) => !(key in value));
  if (missing !== undefined) return `${at}.${missing}`;
  return Object.entries(value).map(([key, one]) => (properties![key] ? misfit(properties![key], one, `${at}.${key}`) : `${at}.${key}`)).find((one) => one !== undefined);
}
