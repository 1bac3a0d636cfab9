import { BACKBONE } from '../residual-backbone.js';

/**
 * How the arrays of a file are called. `detr`: facebookresearch/detr, SMCA-DETR's release and this project; `transformers`:
 * DetrForObjectDetection of Hugging Face, its backbone native or timm's, of transformers 4 and 5; `torchvision`: a ResNet.
 */
export type Naming = 'detr' | 'transformers' | 'torchvision';

/** Beginnings of the names that each naming has. */
const KNOWN: Readonly<Record<Naming, RegExp>> = {
  detr: /^(backbone\.0\.body|transformer\.(en|de)coder|input_proj|query_embed|class_embed|bbox_embed)\./,
  transformers: /^(model\.(backbone\.(conv_encoder\.)?model|encoder\.layers|decoder|input_projection|query_position_embeddings)|class_labels_classifier|bbox_predictor)\./,
  torchvision: /^(conv1|bn1|layer\d+\.\d+|fc)\./,
};

/** Where checkpoints keep a model beside their training state, and what wrappers put before its names. */
const PREFIXES = ['', 'model.', 'state_dict.', 'model_state_dict.'].flatMap((part) => ['', 'module.', 'detr.'].map((wrapper) => part + wrapper));

/**
 * The naming of a file, and what stands before the names of its model: that which fits most names.
 * @returns undefined where no name is known
 */
export function findNaming(names: readonly string[]): { naming: Naming; prefix: string } | undefined {
  let best: { naming: Naming; prefix: string } | undefined, most = 0;
  for (const naming of Object.keys(KNOWN) as Naming[]) {
    for (const prefix of PREFIXES) {
      const known = names.filter((name) => name.startsWith(prefix) && KNOWN[naming].test(name.slice(prefix.length))).length;
      if (known > most) [best, most] = [{ naming, prefix }, known];
    }
  }
  return best;
}

/** Names of transformers to those of facebookresearch/detr, one after the other. */
const FROM_TRANSFORMERS: readonly (readonly [RegExp, string | ((...groups: string[]) => string)])[] = [
  [/^model\.backbone\.(?:conv_encoder\.)?model\.(?:_backbone\.)?/, `${BACKBONE}.`],
  [/\.embedder\.embedder\.convolution\./, '.conv1.'],
  [/\.embedder\.embedder\.normalization\./, '.bn1.'],
  [/\.encoder\.stages\.(\d+)\.layers\.(\d+)\./, (_, stage, block) => `.layer${Number(stage) + 1}.${block}.`],
  [/\.shortcut\.convolution\./, '.downsample.0.'],
  [/\.shortcut\.normalization\./, '.downsample.1.'],
  [/\.layer\.(\d)\.convolution\./, (_, number) => `.conv${Number(number) + 1}.`],
  [/\.layer\.(\d)\.normalization\./, (_, number) => `.bn${Number(number) + 1}.`],
  [/^model\.query_position_embeddings\./, 'query_embed.'],
  [/^model\.input_projection\./, 'input_proj.'],
  [/^model\.(encoder|decoder)\./, 'transformer.$1.'],
  [/^transformer\.decoder\.layernorm\./, 'transformer.decoder.norm.'],
  [/\.self_attn_layer_norm\./, '.norm1.'],
  [/\.encoder_attn_layer_norm\./, '.norm2.'],
  [/^(transformer\.encoder\..*)\.final_layer_norm\./, '$1.norm2.'],
  [/^(transformer\.decoder\..*)\.final_layer_norm\./, '$1.norm3.'],
  [/\.encoder_attn\./, '.multihead_attn.'],
  [/\.o_proj\./, '.out_proj.'],
  [/\.(?:mlp\.)?fc(\d)\./, '.linear$1.'],
  [/^class_labels_classifier\./, 'class_embed.'],
  [/^bbox_predictor\./, 'bbox_embed.'],
];

/** The name here of an array, its prefix taken off; projections of transformers keep `.q_proj`, `.k_proj` and `.v_proj`, see {@link unpackedShapes}. */
export function nameHere(naming: Naming, name: string): string {
  if (naming === 'detr') return name;
  if (naming === 'torchvision') return name.startsWith('fc.') ? name : `${BACKBONE}.${name}`;
  return FROM_TRANSFORMERS.reduce((before, [pattern, to]) => (typeof to === 'string' ? before.replace(pattern, to) : before.replace(pattern, to)), name);
}

/** The projections that one packed `in_proj_weight` or `in_proj_bias` holds, in its order. */
const PROJECTIONS = ['q_proj', 'k_proj', 'v_proj'];

/** Names of the three arrays that transformers has for one packed array; the name itself for any other. */
export function unpackedNames(naming: Naming, name: string): string[] {
  const packed = naming === 'transformers' && /^(.*)\.in_proj_(weight|bias)$/.exec(name);
  return packed ? PROJECTIONS.map((projection) => `${packed[1]}.${projection}.${packed[2]}`) : [name];
}

/** Shapes of a model's parameters as a naming has them: the packed ones of an attention as three of a third of their rows. */
export function unpackedShapes(naming: Naming, shapes: Readonly<Record<string, readonly number[]>>): Record<string, readonly number[]> {
  return Object.fromEntries(Object.entries(shapes).flatMap(([name, shape]) => {
    const names = unpackedNames(naming, name);
    return names.map((one) => [one, [shape[0] / names.length, ...shape.slice(1)]]);
  }));
}
