import { readdirSync } from 'node:fs';
import path from 'node:path';
import { UserError, messageOf } from '../../errors.js';
import { readJson } from '../../files.js';
import { nearestName, parseStrictly } from '../../schema.js';
import { manifestSchema, type Manifest, type OfficialFile } from './manifest.js';

const REMEDY = 'git checkout data-manifests brings it back';

/** Where manifests lie. QDETR_MANIFESTS names another folder, for tests and for sets of one's own. */
export const manifestFolder = (): string => process.env.QDETR_MANIFESTS || 'data-manifests';

/**
 * Reads every manifest of a folder.
 * @returns manifests by name
 * @throws UserError when one is damaged, contradicts itself, or uses a name or place of another
 */
export function readManifests(folder = manifestFolder()): Manifest[] {
  let names: string[];
  try {
    names = readdirSync(folder).filter((name) => name.endsWith('.json')).sort();
  } catch (error) {
    throw new UserError(`${folder} can't be read (${messageOf(error)}): ${REMEDY}`);
  }
  const seen = new Map<string, string>();
  return names.map((name) => {
    const at = path.join(folder, name);
    const manifest = parseStrictly(manifestSchema, readJson(at, REMEDY), at, REMEDY);
    const refuse = (what: string): never => { throw new UserError(`${at}: ${what}: ${REMEDY}`); };
    const claim = (what: string, key: string): void => {
      if (seen.has(key)) refuse(`${what} is also used in ${seen.get(key)}`);
      seen.set(key, at);
    };
    claim(`the name '${manifest.name}'`, `name ${manifest.name}`);
    for (const file of manifest.files) {
      claim(`the name '${file.name}'`, `name ${file.name}`);
      claim(`the file '${file.file}'`, `file ${file.file.toLowerCase()}`);
      if ((file.urls.length === 0) !== (file.bring !== null)) refuse(`'${file.name}' should have urls, or else say in 'bring' how to get it`);
      if (file.digests.sha256 && file.digests.sha256Prefix && !file.digests.sha256.startsWith(file.digests.sha256Prefix)) refuse(`'${file.name}' has a sha256 that does not begin with its sha256Prefix`);
    }
    return manifest;
  }).sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** A file and the manifest that it is of. */
export interface ListedFile { manifest: Manifest; file: OfficialFile }

/**
 * The files that some names mean: of a set, all of them (`voc2007`), or a file's own (`voc2007-test`).
 * @param kind whether data or weights are meant
 * @throws UserError when a name is none of them, with the nearest one
 */
export function filesNamed(names: readonly string[], kind: Manifest['kind'], manifests = readManifests()): ListedFile[] {
  const all = manifests.filter((manifest) => manifest.kind === kind).flatMap((manifest) => manifest.files.map((file) => ({ manifest, file })));
  const known = [...new Set(all.flatMap(({ manifest, file }) => [manifest.name, file.name]))];
  const found = names.flatMap((name) => {
    const meant = all.filter(({ manifest, file }) => manifest.name === name || file.name === name);
    if (meant.length > 0) return meant;
    const other = manifests.find((manifest) => manifest.kind !== kind && [manifest.name, ...manifest.files.map((file) => file.name)].includes(name));
    if (other) throw new UserError(`${name} is ${other.kind === 'data' ? 'a data set' : 'a file of weights'}: npx qdetr ${other.kind} fetch ${name}`);
    const near = nearestName(name, known);
    throw new UserError(`there is no ${name} in ${manifestFolder()}${near ? `, did you mean ${near}?` : `: npx qdetr ${kind} list says what there is`}`);
  });
  return found.filter((one, i) => found.findIndex(({ file }) => file.name === one.file.name) === i);
}
