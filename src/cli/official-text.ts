import { byteSize } from '../data/official/byte-size.js';
import type { Manifest, OfficialFile } from '../data/official/manifest.js';
import type { FileState } from '../data/official/status.js';

/** Marks of {@link FileState}, in the order of {@link LEGEND}. */
const MARKS: Record<FileState['kind'], string> = { unpacked: '✔', fetched: '✔', unchecked: '?', partial: '◐', absent: '·' };
export const LEGEND = '✔ is there   ◐ a part of it is   ? not checked yet   · not there';

/** A file's size as far as it is known: `460 MB`, `~232 MB` as its publisher wrote it, `?`. */
export const sizeText = ({ bytes, publishedSize }: OfficialFile): string => (bytes !== null ? byteSize(bytes) : publishedSize !== null ? `~${publishedSize}` : '?');

/**
 * A set as a list shows it: where it is from, its licence and terms, and each file with its size, contents, and whether it is there.
 * @param states of its files, in their order
 * @param width columns of the terminal
 */
export function setText(manifest: Manifest, states: readonly FileState[], width = 80): string {
  const fact = (label: string, text: string): string => wrap(text, width - 11).map((line, i) => `  ${(i === 0 ? label : '').padEnd(9)}${line}`).join('\n');
  const rows = manifest.files.map((file, i) => `  ${MARKS[states[i].kind]} ${file.name.padEnd(21)}${sizeText(file).padStart(8)}  ${shortened(file.holds, width - 35)}`);
  const byHand = manifest.files.filter((file) => file.bring !== null);
  return [
    `${manifest.title} (${manifest.name})`,
    fact('from', manifest.homepage), fact('licence', manifest.licence), fact('terms', manifest.terms),
    ...(byHand.length > 0 ? [fact('by hand', `${[...new Set(byHand.map((file) => file.bring!.replace(file.file, 'the file')))].join('; ')}; then name it with --from`)] : []),
    ...rows,
  ].join('\n');
}

/** Where a file is, in a line without its name. */
export function stateText(state: FileState): string {
  switch (state.kind) {
    case 'absent': return '· absent';
    case 'partial': return `◐ partial: ${byteSize(state.bytes)}${state.of === null ? '' : ` of ${byteSize(state.of)} (${Math.floor((100 * state.bytes) / state.of)} %)`}`;
    case 'unchecked': return `? ${state.path}, not checked: fetch checks it`;
    case 'fetched': return `✔ fetched, ${verifiedBy(state.record.checked)}: ${byteSize(state.record.bytes)}`;
    case 'unpacked': return `✔ unpacked: ${count(state.record.unpacked!.files)} in ${state.folder}${state.hasArchive ? '' : ' (archive deleted)'}`;
  }
}

const TITLES: Record<string, string> = { bytes: 'size', sha256: 'SHA-256', sha256Prefix: 'start of the SHA-256', sha384: 'SHA-384', md5: 'MD5' };

/** What a file was compared with: `size and SHA-256 as published`. */
export function verifiedBy(checked: readonly string[]): string {
  if (checked.length === 0) return 'SHA-256 recorded (none was published)';
  const titles = checked.map((name) => TITLES[name] ?? name);
  return `${titles.length > 1 ? `${titles.slice(0, -1).join(', ')} and ` : ''}${titles[titles.length - 1]} as published`;
}

/** `1 file`, `15,000 files`. */
export const count = (files: number): string => `${files.toLocaleString('en')} file${files === 1 ? '' : 's'}`;

const shortened = (text: string, width: number): string => (text.length > width ? `${text.slice(0, Math.max(1, width - 1))}…` : text);

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines[lines.length - 1];
    if (last !== undefined && last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
