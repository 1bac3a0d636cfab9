import type { CocoAnnotations } from './coco-annotations.js';
import type { ImageDataset } from './image-dataset.js';

/** The number by which COCO results name an image: COCO's own id where the data set has one, else its index. */
export const imageNumber = (dataset: ImageDataset, index: number): number => dataset.truth?.(index).image.id ?? index;

/**
 * Ground truth for average precision. Of a COCO file it is the file's own: ids, boxes as they were, areas of the segments, crowds. Of others, an image's id is its
 * index, areas are those of the boxes, and difficult objects have iscrowd 1, so that detections of them count neither for nor against.
 * @param count number of images from the first one; all of them by default
 */
export function imageAnnotations(dataset: ImageDataset, count = dataset.length): CocoAnnotations {
  const truth: CocoAnnotations = { images: [], annotations: [], categories: dataset.classes.flatMap((name, id) => (name === NO_CLASS ? [] : [{ id, name }])) };
  for (let index = 0; index < Math.min(count, dataset.length); index++) {
    const own = dataset.truth?.(index);
    if (own) {
      truth.images.push(own.image);
      for (const annotation of own.annotations) truth.annotations.push(annotation);
      continue;
    }
    const { id, width, height, objects } = dataset.entry(index);
    truth.images.push({ id: index, file_name: `${id}.jpg`, width, height });
    for (const { label, box: [left, top, right, bottom], difficult, crowd } of objects)
      truth.annotations.push({
        id: truth.annotations.length + 1, image_id: index, category_id: label, bbox: [left, top, right - left, bottom - top],
        area: (right - left) * (bottom - top), iscrowd: difficult || crowd ? 1 : 0,
      });
  }
  return truth;
}

/** What facebookresearch/detr calls the ids that COCO's categories don't use. */
export const NO_CLASS = 'N/A';
