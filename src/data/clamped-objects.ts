import type { AnnotatedObject } from './dataset.js';

/**
 * Objects with boxes clamped to the image; those of no area are left out, as facebookresearch/detr does (ConvertCocoPolysToMask).
 * @param width of the image, in pixels
 * @param height of the image, in pixels
 */
export function clampedObjects(objects: readonly AnnotatedObject[], width: number, height: number): AnnotatedObject[] {
  const inside = (value: number, most: number): number => Math.min(Math.max(value, 0), most);
  return objects.flatMap((object) => {
    const [left, top, right, bottom] = object.box;
    const box: AnnotatedObject['box'] = [inside(left, width), inside(top, height), inside(right, width), inside(bottom, height)];
    return box[2] > box[0] && box[3] > box[1] ? [{ ...object, box }] : [];
  });
}
