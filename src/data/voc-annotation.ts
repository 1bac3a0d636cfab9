import { UserError } from '../errors.js';
import type { Sample } from './dataset.js';

/** An object as VOC's XML writes it: 1-based pixels, all four inclusive. */
export interface VocObject {
  name: string;
  pose: string;
  truncated: boolean;
  occluded: boolean;
  difficult: boolean;
  xmin: number;
  ymin: number;
  xmax: number;
  ymax: number;
}

/** An annotation file of VOC. */
export interface VocAnnotation { filename: string; width: number; height: number; depth: number; objects: VocObject[] }

const escape = (text: string): string => text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
const unescape = (text: string): string => text.replace(/&lt;/g, '<').replace(/&gt;/g, '>').replace(/&amp;/g, '&');

/**
 * Writes the annotation of an image as VOC 2012 does (VOCdevkit's order of elements; a crowd is a difficult object).
 * @param sample image with boxes, right and bottom exclusive
 * @param size side of the image
 * @param classes names by label
 * @param database name of the data set
 */
export function vocAnnotationXml({ id, objects }: Sample, size: number, classes: readonly string[], database: string): string {
  const flag = (value: boolean): number => (value ? 1 : 0);
  const parts = objects.map(({ label, box: [left, top, right, bottom], truncated, occluded, difficult }) => `	<object>
		<name>${escape(classes[label])}</name>
		<pose>Unspecified</pose>
		<truncated>${flag(truncated)}</truncated>
		<occluded>${flag(occluded)}</occluded>
		<difficult>${flag(difficult)}</difficult>
		<bndbox>
			<xmin>${left + 1}</xmin>
			<ymin>${top + 1}</ymin>
			<xmax>${right}</xmax>
			<ymax>${bottom}</ymax>
		</bndbox>
	</object>
`);
  return `<annotation>
	<folder>${escape(database)}</folder>
	<filename>${escape(id)}.jpg</filename>
	<source>
		<database>${escape(database)}</database>
		<annotation>${escape(database)}</annotation>
		<image>composed</image>
	</source>
	<size>
		<width>${size}</width>
		<height>${size}</height>
		<depth>3</depth>
	</size>
	<segmented>0</segmented>
${parts.join('')}</annotation>
`;
}

function element(xml: string, name: string, where: string): string {
  const start = xml.indexOf(`<${name}>`), end = start < 0 ? -1 : xml.indexOf(`</${name}>`, start);
  if (end < 0) throw new UserError(`${where}: element <${name}> is missing: export or unpack the data set again`);
  return unescape(xml.slice(start + name.length + 2, end).trim());
}

function whole(xml: string, name: string, where: string): number {
  const value = Number(element(xml, name, where));
  if (!Number.isFinite(value)) throw new UserError(`${where}: element <${name}> is no number: export or unpack the data set again`);
  return Math.round(value);
}

/**
 * Reads an annotation file of VOC.
 * @param xml its text
 * @param where its path, for error messages
 * @throws UserError when the file is cut off, or an element is missing or no number
 */
export function parseVocAnnotation(xml: string, where: string): VocAnnotation {
  if (!/<annotation>[\s\S]*<\/annotation>\s*$/.test(xml) || xml.split('<object>').length !== xml.split('</object>').length)
    throw new UserError(`${where} is no whole annotation of VOC (<annotation> … </annotation>): export or unpack the data set again`);
  const optional = (object: string, name: string): boolean => object.includes(`<${name}>`) && whole(object, name, where) === 1;
  // The parts of a person (head, hand, foot) have names and boxes of their own: not the object's.
  const objects = [...xml.replace(/<part>[\s\S]*?<\/part>/g, '').matchAll(/<object>([\s\S]*?)<\/object>/g)].map(([, object]): VocObject => ({
    name: element(object, 'name', where),
    pose: object.includes('<pose>') ? element(object, 'pose', where) : 'Unspecified',
    truncated: optional(object, 'truncated'), occluded: optional(object, 'occluded'), difficult: optional(object, 'difficult'),
    xmin: whole(object, 'xmin', where), ymin: whole(object, 'ymin', where), xmax: whole(object, 'xmax', where), ymax: whole(object, 'ymax', where),
  }));
  const size = element(xml, 'size', where);
  return { filename: element(xml, 'filename', where), width: whole(size, 'width', where), height: whole(size, 'height', where), depth: whole(size, 'depth', where), objects };
}
