import { z } from 'zod';
import { UserError } from '../errors.js';
import { readJson } from '../files.js';

/** Bit-widths that Table 2.2 compares, as it prints them: weights-activations-attention. */
export const BITS = ['4-4-8', '3-3-8', '2-2-8'] as const;

const percent = z.number().min(0).max(100);
const maybePercent = percent.nullable();
const bits = z.string().regex(/^\d+-\d+-\d+$/, 'must be weights-activations-attention, like 4-4-8');
const ap50Row = z.object({ method: z.string(), bits, ap50: percent }).strict();

const paperSchema = z
  .object({
    source: z.string(),
    note: z.string(),
    table_2_2: z.array(ap50Row).length(13),
    cvpr_table_2_voc: z.array(z.object({ model: z.string(), method: z.string(), bits, ap: percent, ap50: percent, ap75: percent }).strict()),
    cvpr_table_3_coco: z.array(
      z
        .object({
          model: z.string(),
          method: z.string(),
          bits,
          sizeMB: z.number().positive(),
          opsG: z.number().positive(),
          ap: maybePercent,
          ap50: maybePercent,
          ap75: maybePercent,
          apS: maybePercent,
          apM: maybePercent,
          apL: maybePercent,
          uncertain: z.array(z.string()).optional(),
          note: z.string().optional(),
        })
        .strict(),
    ),
    figure_2_11: z.array(z.object({ bits: z.string(), quantized: z.string(), ap50: percent }).strict()),
    figure_2_12a: z
      .object({
        bits,
        dataset: z.string(),
        points: z.array(z.object({ tau: z.number().min(0).max(1), lambda: z.number().nullable(), ap50: percent, source: z.string() }).strict()),
        claims: z.array(z.string()),
        note: z.string(),
      })
      .strict(),
    teachers: z.array(z.object({ model: z.string(), voc_ap50: percent, coco_ap: percent }).strict()),
  })
  .strict();

/** The paper's printed values, in percent; data-manifests/paper/README.md says which are printed and which are not. */
export type PaperValues = z.infer<typeof paperSchema>;

/**
 * Reads the paper's values.
 * @throws UserError naming file and key when the file is missing, damaged or holds something else.
 */
export function paperValues(file = 'data-manifests/paper/paper-tables.json'): PaperValues {
  const remedy = `get it back with 'git checkout -- ${file}'`;
  const result = paperSchema.safeParse(readJson(file, remedy));
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new UserError(`${file}: key ${issue.path.join('.') || '(top level)'}: ${issue.message}; ${remedy}`);
}
