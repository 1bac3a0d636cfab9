/** An annotated object of an image: ground truth. */
export interface AnnotatedObject {
  /** Index into the data set's classes. */
  label: number;
  /** Left, top, right, bottom in pixels; right and bottom are the first ones outside. */
  box: [number, number, number, number];
  /** Too small, too hidden or too crowded to be counted (VOC's flag). */
  difficult: boolean;
  /** The box shows a part of the object only, cut by the border or hidden (VOC's flag). */
  truncated: boolean;
  /** More than a tenth of the object is hidden by others (VOC's flag). */
  occluded: boolean;
  /** Several objects of one class in one box. */
  crowd: boolean;
}

/** An image and its objects. */
export interface Sample {
  /** Name without extension, unique in the data set. */
  id: string;
  /** RGB pixels [size, size, 3]. */
  image: Uint8Array;
  objects: AnnotatedObject[];
}

/** Samples from one up to, not including, another. */
export interface SampleRange { start: number; end: number }

/** A range of samples. */
export interface ComposedSamples {
  start: number;
  /** RGB pixels [n, size, size, 3]. */
  images: Uint8Array;
  samples: Omit<Sample, 'image'>[];
}

/** Images of one size with boxes. */
export interface DetectionDataset {
  readonly length: number;
  /** Side of the images in pixels. */
  readonly size: number;
  /** Names of the classes; a label is an index. */
  readonly classes: readonly string[];
  /** What determines every sample, as a SHA-256 in hex. */
  readonly dataHash: string;
  /** The sample at `index`, 0 <= index < length. */
  sample(index: number): Sample;
  /**
   * All images as `packedImages` packs them, one behind the other, where the data set keeps them; packed when first asked for.
   * @param told hears how many images of how many are there; what it throws ends the packing
   */
  packed?(told?: (done: number, total: number) => void): Promise<Int32Array>;
  /**
   * Makes many samples at once, in several threads, where the data set can; the same ones as `sample` makes.
   * @param made is given each range as it comes, in any order; what it throws ends the work
   */
  compose?(ranges: readonly SampleRange[], made: (samples: ComposedSamples) => void): Promise<void>;
}
