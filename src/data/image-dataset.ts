import type { CocoAnnotations } from './coco-annotations.js';
import type { AnnotatedObject } from './dataset.js';

/** An image in a file, not yet decoded, and its ground truth. */
export interface ImageEntry {
  /** Unique in the data set: VOC `2007_000027`, COCO `139`. */
  id: string;
  /** Path of the image. */
  file: string;
  /** Pixels, as the annotation says. */
  width: number;
  height: number;
  /** Boxes in pixels of the image as it is in the file, clamped to it; those of no area are left out. Objects that no detector is to learn (VOC's difficult ones, COCO's crowds) are among them, flagged. */
  objects: AnnotatedObject[];
}

/** Images of any size in files, with boxes: VOC, COCO, and folders in their formats. */
export interface ImageDataset {
  /** `voc-2007-trainval`, `coco-2017-val`, or what the folder is called. */
  readonly name: string;
  readonly length: number;
  /**
   * Names by label. VOC has 20. COCO has 91, by its category ids, as the published weights have them: ids that it doesn't use are called `N/A`.
   */
  readonly classes: readonly string[];
  /** What determines every entry (annotations, lists; names and lengths of the images), as a SHA-256 in hex. */
  readonly dataHash: string;
  /** Most objects of an image that a detector is to learn. */
  readonly objectsPerImage: number;
  /** The entry at `index`, 0 <= index < length. */
  entry(index: number): ImageEntry;
  /** What was left out because it is broken, where that was allowed. */
  readonly broken: readonly { name: string; reason: string }[];
  /** The image's ground truth as a COCO file has it: own ids, boxes not clamped, areas of the segments. For evaluation; absent where there is no such file. */
  truth?(index: number): { image: CocoAnnotations['images'][number]; annotations: CocoAnnotations['annotations'] };
}

/**
 * B decoded and transformed images in one canvas: each lies in the upper left corner, and the rest is padding. A model sees the padding as 0 after
 * normalization, and masks it (DETR's NestedTensor).
 */
export interface PaddedBatch {
  /** Height and width of the canvas, H and W. */
  height: number;
  width: number;
  /** RGB [B, H, W, 3]; 0 where there is padding. */
  pixels: Uint8Array;
  /** Height and width of each image in the canvas [B, 2]. */
  sizes: Int32Array;
  /** Labels [B, G]; -1 where there is no object. */
  labels: Int32Array;
  /** Boxes [B, G, 4], cxcywh normalized by the image's own size in the canvas (not by the canvas); 0 where there is no object. */
  boxes: Float32Array;
  /** Numbers of objects [B]. */
  counts: Int32Array;
  /** Which images these are [B]; -1 where the batch has no image: 1x1 pixels of padding then. */
  indices: Int32Array;
}
