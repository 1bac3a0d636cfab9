import { z } from 'zod';

const hex = (digits: number, of: string) => z.string().regex(new RegExp(`^[0-9a-f]{${digits}}$`)).nullable().describe(`the ${of} as ${digits} lower-case hexadecimal digits, or null where nobody published it`);

/** A path below a folder: parts of letters, digits and `. _ - ~`, none of them `.` or `..`. */
const PATH = /^(?!\.{1,2}(\/|$))[\w.~-]+(\/(?!\.{1,2}(\/|$))[\w.~-]+)*$/;
const FOLDER = new RegExp(`${PATH.source}|^$`);
const NAME = /^[a-z0-9]+(-[a-z0-9]+)*$/;

/** What is known of a file's content. */
const digests = z.object({
  sha256: hex(64, 'SHA-256'),
  sha256Prefix: hex(8, 'first part of the SHA-256'),
  sha384: hex(96, 'SHA-384'),
  md5: hex(32, 'MD5'),
}).strict();

/** How an archive is unpacked. */
const unpack = z.object({
  format: z.enum(['tar', 'tar.gz', 'zip']).describe('tar, tar.gz or zip'),
  from: z.string().regex(FOLDER).describe('the folder of the archive that is taken, "" for all of it; what lies beside is left out'),
  to: z.string().regex(PATH).describe('the folder that it becomes, below the data folder'),
  inner: z.literal('tar').nullable().describe('"tar" where every file of the archive is an archive itself, which becomes a folder of its name, or null'),
}).strict();

const source = z.object({
  facts: z.array(z.string().regex(/^\w+$/)).min(1).describe('names of the facts'),
  from: z.string().min(1).describe('where they were published'),
}).strict();

const file = z.object({
  name: z.string().regex(NAME).describe('what commands call it: small letters, digits and hyphens'),
  holds: z.string().min(1).describe('what is in it'),
  file: z.string().regex(/^(?!\.{1,2}$)[\w.~-]+$/).describe('the name of the file'),
  urls: z.array(z.string().regex(/^https?:\/\/\S+$/)).describe('addresses that are tried one after the other; none where there is no public one'),
  bring: z.string().min(1).nullable().describe('what someone has to do to get the file where there is no address, or null'),
  bytes: z.number().int().positive().nullable().describe('the size in bytes, or null where nobody published it'),
  publishedSize: z.string().min(1).nullable().describe('the size as its publisher wrote it where the bytes are not known, or null'),
  digests: digests.describe('what is known of its content'),
  unpack: unpack.nullable().describe('how it is unpacked, or null where it is used as it is'),
  sources: z.array(source).min(1).describe('where each fact was published'),
}).strict();

/** The schema of data-manifests/*.json: a data set, or a family of weights, as its publishers offer it. data-manifests/schema has it as JSON Schema. */
export const manifestSchema = z.object({
  $schema: z.string().optional().describe('the path of the JSON Schema'),
  schemaVersion: z.literal(1).describe('1'),
  name: z.string().regex(NAME).describe('what commands call it: small letters, digits and hyphens'),
  kind: z.enum(['data', 'weights']).describe('data or weights'),
  title: z.string().min(1).describe('its name as its publishers write it'),
  homepage: z.string().regex(/^https?:\/\/\S+$/).describe('an address'),
  licence: z.string().min(1).describe('its licence in a few words'),
  terms: z.string().min(1).describe('what its users have to respect'),
  files: z.array(file).min(1).describe('its files'),
}).strict();

/** A data set or a family of weights that others publish. */
export type Manifest = z.infer<typeof manifestSchema>;
/** A file of it. */
export type OfficialFile = z.infer<typeof file>;
/** How an archive is unpacked. */
export type Unpack = z.infer<typeof unpack>;
/** What is known of a file's content: digests in hex, null where nobody published one. */
export type Digests = z.infer<typeof digests>;
