/** The 20 classes of PASCAL VOC in their official (alphabetical) order; a label is an index into this list. */
export const VOC_CLASSES = [
  'aeroplane', 'bicycle', 'bird', 'boat', 'bottle', 'bus', 'car', 'cat', 'chair', 'cow',
  'diningtable', 'dog', 'horse', 'motorbike', 'person', 'pottedplant', 'sheep', 'sofa', 'train', 'tvmonitor',
] as const;

/** Name of a VOC class. */
export type VocClass = (typeof VOC_CLASSES)[number];
