import { UserError } from '../../errors.js';
import { BACKBONE } from '../residual-backbone.js';
import { detrSettings, FAMILIES, familyTitles, fullSizeDetectors, modelOf, RESNET_101, RESNET_50, teacherModelOf, type BackboneSettings, type DetectorSettings, type ModelScale } from '../settings.js';
import { isSmcaParameter } from '../smca-detr.js';

/** Shapes of a file's arrays, by the names and in the layouts of this project. */
export type Shapes = ReadonlyMap<string, readonly number[]>;

/** What the shapes of weights don't say, from beside them. */
export interface ModelHints {
  heads?: number;
  /** Stride of the first stage. */
  firstStride?: 1 | 2;
}

/** A model that weights are of. */
export type RecognizedModel =
  | { kind: 'detector'; title: string; settings: DetectorSettings }
  /** A backbone alone, or with a classifier's head. */
  | { kind: 'backbone'; title: string; backbone: BackboneSettings };

/** Detectors of this project by what they are called: full size, and the small ones of each scale with their teachers. */
export const KNOWN_DETECTORS: Readonly<Record<string, DetectorSettings>> = {
  ...fullSizeDetectors,
  ...Object.fromEntries(FAMILIES.flatMap((family) => (Object.keys(detrSettings) as ModelScale[]).flatMap((scale) => [
    [`${family}-${scale}`, modelOf(scale, family)], [`${family}-${scale}-teacher`, teacherModelOf(scale, family)],
  ]))),
};

/** Numbers of the layers or blocks `<before><n>.` among names, as a count up to the highest. */
const countOf = (names: readonly string[], before: string): number => names.reduce((most, name) => {
  const number = name.startsWith(before) ? Number.parseInt(name.slice(before.length), 10) : NaN;
  return Number.isNaN(number) ? most : Math.max(most, number + 1);
}, 0);

/** The commonest of some sizes: one array of another shape doesn't make another model. */
const commonest = (sizes: readonly number[]): number | undefined => [...sizes].sort((a, b) => sizes.filter((n) => n === b).length - sizes.filter((n) => n === a).length)[0];

/** What names and shapes say of a backbone; strides and pooling they don't. */
function backboneSizes(shapes: Shapes): Pick<BackboneSettings, 'stem' | 'widths' | 'blocks' | 'block' | 'stemKernel' | 'activation'> | undefined {
  const names = [...shapes.keys()].flatMap((name) => (name.startsWith(`${BACKBONE}.`) ? [name.slice(BACKBONE.length + 1)] : []));
  const stem = shapes.get(`${BACKBONE}.conv1.weight`) ?? shapes.get(`${BACKBONE}.bn1.weight`), stages = countOf(names, 'layer') - 1;
  const widths: number[] = [], blocks: number[] = [];
  for (let stage = 1; stage <= stages; stage++) {
    const first = names.find((name) => new RegExp(`^layer${stage}\\.\\d+\\.(conv|bn)1\\.weight$`).test(name));
    if (first === undefined) return undefined;
    widths.push(shapes.get(`${BACKBONE}.${first}`)!.at(-1)!);
    blocks.push(countOf(names, `layer${stage}.`));
  }
  if (!stem || widths.length === 0) return undefined;
  return {
    stem: stem[stem.length - 1], widths, blocks, block: names.some((name) => /\.conv3\.weight$/.test(name)) ? 'bottleneck' : 'basic',
    stemKernel: stem.length === 4 && stem[0] === 3 ? 3 : 7, activation: names.some((name) => /\bprelu/.test(name)) ? 'rprelu' : 'relu',
  };
}

/** A key of what a backbone's shapes say. */
const keyOf = ({ stem, widths, blocks, block = 'basic', stemKernel = 3 }: BackboneSettings | NonNullable<ReturnType<typeof backboneSizes>>): string => JSON.stringify([stem, widths, blocks, block, stemKernel]);

/** The model of this project that has these sizes, whatever its classes and queries. */
const knownModel = (sizes: Parameters<typeof keyOf>[0], settings: Omit<DetectorSettings, 'backbone' | 'imageSize' | 'heads'>): [string, DetectorSettings] | undefined =>
  Object.entries(KNOWN_DETECTORS).find(([, one]) => keyOf(one.backbone) === keyOf(sizes) && (['family', 'modelWidth', 'feedForward', 'encoderLayers', 'decoderLayers'] as const).every((key) => one[key] === settings[key]));

/** What a detector is called: the name of this project's model of its sizes, else its family's. */
export const titleOf = (settings: DetectorSettings): string => knownModel(settings.backbone, settings)?.[0] ?? familyTitles[settings.family];

/** Backbones with a 7x7 stem are torchvision's in form: pooling, and a stride of 2 from the second stage on. */
function withStrides(sizes: NonNullable<ReturnType<typeof backboneSizes>>, known: BackboneSettings | undefined, { firstStride = 1 }: ModelHints): BackboneSettings | undefined {
  const { activation, ...others } = sizes, rectifier = activation === 'rprelu' ? { activation } : {};
  if (known) return { ...known, ...rectifier };
  if (sizes.stemKernel !== 7) return undefined;
  return { ...others, strides: sizes.widths.map((_, stage) => (stage === 0 ? firstStride : 2)), pool: true, ...rectifier };
}

/**
 * The model whose weights have these names and shapes: family, backbone, classes, queries, widths and numbers of layers are in them; strides and
 * heads are those of this project's model of the same sizes, of a ResNet and of DETR's 8 heads at width 256.
 * @param hasSpareClass whether SMCA-DETR has one class more than it uses, as its release has
 * @throws UserError that names the file when they don't say enough
 */
export function recognizeModel(file: string, shapes: Shapes, hasSpareClass: boolean, hints: ModelHints = {}): RecognizedModel {
  const refuse = (what: string): never => {
    throw new UserError(`${file} doesn't say which model its weights are of: ${what}; name it with --model (${Object.keys(fullSizeDetectors).join(', ')}), or get the file again`);
  };
  const names = [...shapes.keys()], sizes = backboneSizes(shapes);
  if (!sizes) return refuse('its backbone is incomplete');
  if (!names.some((name) => /^(transformer|query_embed|class_embed)\./.test(name))) {
    const known = [RESNET_50, RESNET_101].find((resnet) => keyOf(resnet) === keyOf(sizes));
    const backbone = withStrides(sizes, known ?? Object.values(KNOWN_DETECTORS).map((one) => one.backbone).find((one) => keyOf(one) === keyOf(sizes)), hints) ?? refuse('no shape says the strides of a backbone of this form');
    return { kind: 'backbone', title: known === RESNET_50 ? 'ResNet-50' : known === RESNET_101 ? 'ResNet-101' : 'a residual backbone', backbone };
  }
  const rowsOf = (pattern: RegExp): number | undefined => commonest(names.filter((name) => pattern.test(name)).map((name) => shapes.get(name)![0]));
  const family = names.some(isSmcaParameter) ? 'smca-detr' : 'detr';
  const queryShape = shapes.get('query_embed.weight') ?? refuse("'query_embed.weight' is missing");
  const outputs = (shapes.get('class_embed.weight') ?? shapes.get('class_embed.bias'))?.[0] ?? refuse("'class_embed.weight' is missing");
  const [queries, modelWidth] = queryShape, pointRows = rowsOf(/\.point2\.(weight|bias)$/);
  const read = {
    family, modelWidth, queries, feedForward: rowsOf(/\.linear1\.(weight|bias)$/) ?? refuse('it has no feed-forward layers'),
    encoderLayers: countOf(names, 'transformer.encoder.layers.'), decoderLayers: countOf(names, 'transformer.decoder.layers.'),
    classes: outputs - (family === 'detr' || hasSpareClass ? 1 : 0),
  } as const;
  const found = knownModel(sizes, read);
  const backbone = withStrides(sizes, found?.[1].backbone, hints) ?? refuse('its sizes are none of this project\'s models, and no shape says its strides');
  const heads = (pointRows && pointRows / 2) ?? hints.heads ?? found?.[1].heads ?? (modelWidth === 256 ? 8 : refuse('no shape says its number of attention heads (a config.json of transformers beside it would)'));
  return { kind: 'detector', title: found?.[0] ?? familyTitles[family], settings: { imageSize: found?.[1].imageSize ?? fullSizeDetectors['detr-r50'].imageSize, ...read, heads, backbone } };
}
