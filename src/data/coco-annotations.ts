import type { DetectionDataset } from './dataset.js';

/** Ground truth in COCO's JSON form; category_id is the label. */
export interface CocoAnnotations {
  images: { id: number; file_name: string; width: number; height: number }[];
  annotations: { id: number; image_id: number; category_id: number; bbox: [number, number, number, number]; area: number; iscrowd: 0 | 1 }[];
  categories: { id: number; name: string }[];
}

/**
 * Ground truth for average precision. An image's id is its index; boxes are [left, top, width, height] in pixels; difficult objects
 * have iscrowd 1, so that detections of them count neither for nor against; areas are those of the boxes.
 * @param dataset images with boxes
 * @param count number of images from the first one; all of them by default
 */
export function cocoAnnotations(dataset: DetectionDataset, count = dataset.length): CocoAnnotations {
  const truth: CocoAnnotations = { images: [], annotations: [], categories: dataset.classes.map((name, id) => ({ id, name })) };
  for (let index = 0; index < count; index++) {
    const { id, objects } = dataset.sample(index);
    truth.images.push({ id: index, file_name: `${id}.jpg`, width: dataset.size, height: dataset.size });
    for (const { label, box: [left, top, right, bottom], difficult } of objects)
      truth.annotations.push({
        id: truth.annotations.length + 1, image_id: index, category_id: label, bbox: [left, top, right - left, bottom - top],
        area: (right - left) * (bottom - top), iscrowd: difficult ? 1 : 0,
      });
  }
  return truth;
}
