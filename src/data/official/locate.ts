import { existsSync } from 'node:fs';
import { UserError } from '../../errors.js';
import { dataFolder } from './data-folder.js';
import type { Manifest } from './manifest.js';
import { filesNamed } from './read-manifests.js';
import { pathOfRecord } from './records.js';
import { fileState } from './status.js';

/**
 * Where what was fetched under a name is, for those who read it: the folder that an archive was unpacked to, or the file itself.
 * @param name of a file in a manifest, e.g. `coco2017-val` or `detr-r50`
 * @param data the data folder
 * @throws UserError when it is not there in full, with the command that fetches it
 */
export function locate(name: string, kind: Manifest['kind'], data = dataFolder()): string {
  const listed = filesNamed([name], kind)[0], state = fileState(listed, data);
  if (state.kind === 'unpacked' && existsSync(state.folder)) return state.folder;
  if (state.kind === 'fetched' && listed.file.unpack === null) return pathOfRecord(data, state.record);
  throw new UserError(`${name} is not in ${data} in full: npx qdetr ${kind} fetch ${name}`);
}
