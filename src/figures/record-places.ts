import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';

/** Where a recorded run stands, for readers: `figures/recorded/table-2.2-minutes.jsonl:3`, lines counted from 1. */
export type RecordPlaces = ReadonlyMap<string, string>;

/**
 * Where each recorded run stands, by its id. Lines that are no records are passed over here: whoever reads the records (`recordedSummaries`) names them.
 * @param folder of the records
 */
export function recordPlaces(folder = 'figures/recorded'): RecordPlaces {
  const files = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.jsonl')).sort() : [];
  return new Map(files.flatMap((name) => {
    const lines = readFileSync(path.join(folder, name), 'utf8').split('\n');
    return lines.flatMap((line, i) => {
      const id = idOf(line);
      return id === undefined ? [] : [[id, `${folder}/${name}:${i + 1}`] as const];
    });
  }));
}

function idOf(line: string): string | undefined {
  try {
    const { id } = JSON.parse(line) as { id?: unknown };
    return typeof id === 'string' ? id : undefined;
  } catch {
    return undefined;
  }
}
