import { existsSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { UserError } from '../../errors.js';
import { readJson } from '../../files.js';
import { parseStrictly } from '../../schema.js';
import type { ModelHints } from './recognize-model.js';

const REMEDY = 'move it away, or get it again';

/** What is read of the config.json of a DETR of transformers; its many other keys say what shapes say too, or how to train. */
const configSchema = z.object({
  encoder_attention_heads: z.number().int().positive().describe('a positive whole number').optional(),
  dilation: z.boolean().nullish().describe('true or false'),
  id2label: z.record(z.string().regex(/^\d+$/), z.string().describe("a class's name")).describe('names by class number').optional(),
  backbone_config: z.object({ downsample_in_first_stage: z.boolean().describe('true or false').optional() }).passthrough().nullish().describe('an object'),
}).passthrough();

/** What a config.json beside weights of transformers says that their shapes don't. */
export interface TransformersConfig extends ModelHints {
  /** Names of so many classes, those that it leaves out being `N/A`; undefined where it names none. */
  namesOf(classes: number): string[] | undefined;
}

/**
 * Reads the config.json in the folder of a file of weights, where there is one.
 * @throws UserError when it is damaged, or says that the backbone is dilated (DC5), which no shape shows and no model here is
 */
export function transformersConfig(weights: string): TransformersConfig | undefined {
  const file = path.join(path.dirname(weights), 'config.json');
  if (!existsSync(file)) return undefined;
  const { encoder_attention_heads: heads, dilation, id2label, backbone_config: backbone } = parseStrictly(configSchema, readJson(file, REMEDY), file, REMEDY);
  if (dilation) throw new UserError(`${file}: 'dilation' is true, and no model here has a dilated backbone (DC5): take weights of detr-resnet-50 or -101`);
  const own = id2label && Object.entries(id2label).some(([id, name]) => name !== `LABEL_${id}`) ? id2label : undefined;
  return {
    ...(heads !== undefined && { heads }), ...(backbone?.downsample_in_first_stage && { firstStride: 2 }),
    namesOf: (classes) => own && Array.from({ length: classes }, (_, id) => own[id] ?? 'N/A'),
  };
}
