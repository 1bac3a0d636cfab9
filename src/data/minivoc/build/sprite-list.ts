import path from 'node:path';
import { z } from 'zod';
import { UserError } from '../../../errors.js';
import { readJson } from '../../../files.js';
import { VOC_CLASSES } from '../../voc-classes.js';

/** The explicit list of what becomes a sprite of which class; every line of it was checked by eye. */
export const SPRITE_LIST = path.join('data-manifests', 'minivoc', 'sprites.json');

const fraction = z.number().min(0).max(1);

const emojiSchema = z.object({
  /** Code points of the emoji; all its vendors and variants are one group. */
  group: z.string(),
  name: z.string(),
  /** Further code point sequences that show the same thing (skin tones). */
  variants: z.array(z.string()).optional(),
  /** Vendors whose drawing shows something else or something unclear. */
  except: z.array(z.string()).optional(),
  /** By vendor: left, top, right and bottom (fractions of the picture) of the thing itself, where water, a road or a lamp is drawn with it. */
  crop: z.record(z.string(), z.tuple([fraction, fraction, fraction, fraction])).optional(),
  unseen: z.boolean().optional(),
}).strict();

const modelSchema = z.object({
  /** Library and number in Debian's sweethome3d-furniture. */
  group: z.string(),
  name: z.string(),
  /** Least and greatest elevation of the camera in degrees, where the usual 5 to 40 don't show what it is. */
  elevation: z.tuple([z.number(), z.number()]).optional(),
  /** Middle and half width in degrees of the sector of azimuths, where not all sides show what it is. */
  azimuth: z.tuple([z.number(), z.number()]).optional(),
  unseen: z.boolean().optional(),
}).strict();

const schema = z.object({
  schemaVersion: z.literal(1),
  classes: z.record(z.string(), z.object({ emoji: z.array(emojiSchema), models: z.array(modelSchema) }).strict()),
}).strict();

/** Sprites of all classes and of "distractor". */
export type SpriteList = z.infer<typeof schema>;
/** An emoji of the list. */
export type EmojiEntry = z.infer<typeof emojiSchema>;
/** A 3D model of the list. */
export type ModelEntry = z.infer<typeof modelSchema>;

/**
 * Reads the list of sprites.
 * @throws UserError when a key is unknown or of a wrong type, or a class is missing
 */
export function readSpriteList(): SpriteList {
  const parsed = schema.safeParse(readJson(SPRITE_LIST, `git checkout ${SPRITE_LIST}`));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new UserError(`${SPRITE_LIST}: ${issue.path.join('.')}: ${issue.message}; correct it or git checkout ${SPRITE_LIST}`);
  }
  for (const name of [...VOC_CLASSES, 'distractor'])
    if (!parsed.data.classes[name]) throw new UserError(`${SPRITE_LIST}: classes.${name} is missing: add it or git checkout ${SPRITE_LIST}`);
  return parsed.data;
}
