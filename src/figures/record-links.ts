import path from 'node:path';
import type { RecordPlaces } from './record-places.js';
import type { Origin } from './run-summaries.js';

/** Where a run's record is, for readers and for links. */
export interface RecordLink {
  id: string;
  /** From the project's root: `figures/recorded/table-2.2-minutes.jsonl:3`, `.runs/<id>/summary.json`. */
  place: string;
  /** From a file in `figures`: `recorded/table-2.2-minutes.jsonl#L3`. */
  link: string;
}

/** Where records are: lines of files for recorded runs, a folder of run folders for fresh ones. */
export interface RecordFolders {
  places: RecordPlaces;
  fresh: string;
}

/** A link from a file in `figures` to a file of the project. */
const linkTo = (file: string): string => path.relative('figures', file).split(path.sep).join('/');

/** Where the record of a run is: its line among the recorded ones (null: it is not among them), or its run folder. */
export function recordLink(id: string, origin: Origin, { places, fresh }: RecordFolders): RecordLink | null {
  if (origin === 'fresh') {
    const file = path.join(fresh, id, 'summary.json');
    return { id, place: file, link: linkTo(file) };
  }
  const place = places.get(id);
  if (place === undefined) return null;
  const [file, line] = place.split(/:(?=\d+$)/);
  return { id, place, link: `${linkTo(file)}#L${line}` };
}

/** A link that leads to the same file from `figures`, from `notebooks` and from any other folder of the project: pictures are looked at in all of them. */
export const fromAnyFolder = (link: string): string => (link.startsWith('../') ? link : `../figures/${link}`);
