import path from 'node:path';
import { z } from 'zod';

/** Folder of the committed bank, relative to the project's root. */
export const BANK_FOLDER = path.join('data-manifests', 'minivoc', 'bank');

const sha = z.string().regex(/^[0-9a-f]{64}$/);
const count = z.number().int().positive();
const place = z.number().int().nonnegative();

/** Left, top, width and height in pixels of a sheet. */
export const rectangleSchema = z.tuple([place, place, count, count]);

/** The pictures of a group that come from one source. */
const partSchema = z.object({
  source: z.string(),
  licence: z.string(),
  author: z.string(),
  /** Page from which the author offered it, where known. */
  url: z.string().optional(),
  sheet: z.string(),
  rectangles: z.array(rectangleSchema).nonempty(),
}).strict();

/** What a group shows, where its pictures come from and where they lie on the sheets. */
const groupSchema = z.object({
  /** One of the 20 VOC classes, or "distractor". */
  class: z.string(),
  /** The thing drawn: an emoji's code points (shared over vendors and skin tones) or a 3D model (shared over views). */
  group: z.string(),
  name: z.string(),
  /** Groups that only test-unseen shows. */
  unseen: z.boolean(),
  /** One entry for each source that drew it. */
  parts: z.array(partSchema).nonempty(),
}).strict();

/** A panorama and the only split that shows it. */
const backgroundSchema = z.object({ name: z.string(), split: z.string(), source: z.string(), licence: z.string(), author: z.string(), file: z.string() }).strict();

/** Schema of bank/index.json. */
export const bankIndexSchema = z.object({
  schemaVersion: z.literal(1),
  files: z.record(z.string(), z.object({ sha256: sha, bytes: count, width: count, height: count }).strict()),
  groups: z.array(groupSchema).nonempty(),
  backgrounds: z.array(backgroundSchema).nonempty(),
}).strict();

/** Content of bank/index.json. */
export type BankIndex = z.infer<typeof bankIndexSchema>;
/** A group of sprites as the index lists it. */
export type SpriteGroup = BankIndex['groups'][number];
/** Left, top, width and height in pixels of a sheet. */
export type Rectangle = z.infer<typeof rectangleSchema>;
