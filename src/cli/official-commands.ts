import path from 'node:path';
import type { Command } from 'commander';
import { byteSize } from '../data/official/byte-size.js';
import type { OnBytes } from '../data/official/check-file.js';
import { dataFolder, fetchedFile, unpackedFolder } from '../data/official/data-folder.js';
import { fetchFile, type Fetched } from '../data/official/fetch-file.js';
import type { Manifest } from '../data/official/manifest.js';
import { filesNamed, readManifests, type ListedFile } from '../data/official/read-manifests.js';
import { pathOfRecord } from '../data/official/records.js';
import { fileState } from '../data/official/status.js';
import { verifyFile } from '../data/official/verify.js';
import { ByteProgress } from './byte-progress.js';
import { interruptible } from './interrupt.js';
import { LEGEND, count, setText, stateText, verifiedBy } from './official-text.js';
import { formatDuration } from './progress.js';

type Kind = Manifest['kind'];

const withFolder = (command: Command): Command => command.option('--data <folder>', 'data folder (default: QDETR_DATA, or else .data)');
const columns = (): number => Math.max(60, process.stdout.columns ?? 80);
const ofKind = (kind: Kind): Manifest[] => readManifests().filter((manifest) => manifest.kind === kind);

/** Adds `list`: every set with its size, licence and origin, and what of it is there. @param head what stands above them */
export function addList(command: Command, kind: Kind, head: () => string[] = () => []): void {
  withFolder(command.command('list').description('what can be fetched: size, licence, where from, whether it is there'))
    .action(({ data: asked }: { data?: string }) => {
      const data = dataFolder(asked);
      const sets = ofKind(kind).map((manifest) => setText(manifest, manifest.files.map((file) => fileState({ manifest, file }, data)), columns()));
      console.log([...head(), ...sets].join('\n\n'));
      console.log(`\n${LEGEND}\nData folder: ${data}. Fetch all of a set, or one file: npx qdetr ${kind} fetch NAME`);
    });
}

/** Adds `status`: where each file is between its publisher and its use. */
export function addStatus(command: Command, kind: Kind): void {
  withFolder(command.command('status').description('what of each file is there: nothing, a part, all of it, unpacked').argument('[names...]', 'sets or files (default: all)'))
    .action((names: string[], { data: asked }: { data?: string }) => {
      const data = dataFolder(asked), all = ofKind(kind);
      console.log(`Data folder: ${data}`);
      for (const listed of filesNamed(names.length > 0 ? names : all.map(({ name }) => name), kind)) console.log(`  ${listed.file.name.padEnd(21)} ${stateText(fileState(listed, data))}`);
    });
}

/** Adds `fetch`: downloads, checks and unpacks what isn't there yet. */
export function addFetch(command: Command, kind: Kind): void {
  withFolder(command.command('fetch').description('download, check and unpack what is not there yet; goes on where it was stopped').argument('<names...>', `sets or files: npx qdetr ${kind} list`))
    .option('--from <path>', 'take files from this folder, or this file, instead of the network')
    .option('--replace', 'unpacked files take the place of others that differ')
    .action(async (names: string[], { data: asked, from, replace }: { data?: string; from?: string; replace?: boolean }) => {
      const data = dataFolder(asked), wanted = filesNamed(names, kind);
      await untilStopped(async (signal) => {
        for (const [i, listed] of wanted.entries()) {
          if (wanted.findIndex(({ manifest }) => manifest === listed.manifest) === i) console.log(`${listed.manifest.title}. Licence: ${listed.manifest.licence}. ${listed.manifest.terms}`);
          await fetchOne(listed, { data, from, replace, signal });
        }
      }, 'what has come so far is kept, and the same command goes on from there');
    });
}

async function fetchOne(listed: ListedFile, { data, from, replace, signal }: { data: string; from?: string; replace?: boolean; signal: AbortSignal }): Promise<void> {
  const { file } = listed;
  console.log(`${file.name}: ${file.file}`);
  const progress = new Phases();
  let fetched: Fetched;
  try {
    fetched = await fetchFile(listed, { data, from, replace, signal, onPhase: (phase) => progress.begin(phase), onNote: (text) => progress.note(text) });
  } finally {
    progress.end();
  }
  const { record, wasFetched, wasUnpacked } = fetched, folder = unpackedFolder(data, file);
  console.log(`  ✔ ${wasFetched ? 'was there' : 'checked'}: ${byteSize(record.bytes)}, ${verifiedBy(record.checked)}${folder === undefined ? `, ${pathOfRecord(data, record)}` : ''}`);
  if (!record.unpacked || folder === undefined) return;
  const { files, leftOut } = record.unpacked;
  console.log(`  ✔ ${wasUnpacked ? 'was unpacked' : 'unpacked'}: ${count(files)} in ${folder}${leftOut > 0 ? `; ${leftOut} ${leftOut === 1 ? 'entry' : 'entries'} beside it left out` : ''}`);
  if (!wasUnpacked && path.resolve(pathOfRecord(data, record)) === path.resolve(fetchedFile(data, listed))) console.log(`    ${pathOfRecord(data, record)} is no longer needed`);
}

/** Reads files and what was unpacked of them again. */
export async function verifyNamed(names: readonly string[], kind: Kind, asked: string | undefined): Promise<void> {
  const data = dataFolder(asked);
  await untilStopped(async (signal) => {
    for (const listed of filesNamed(names, kind)) {
      const progress = new Phases();
      const { file, unpacked } = await verifyFile(listed, data, (phase) => progress.begin(phase), signal).finally(() => progress.end());
      console.log(`✔ ${listed.file.name.padEnd(21)} ${listed.file.file} ${file === 'deleted' ? 'was deleted' : `is ${file}`}${unpacked ? `; unpacked: ${unpacked}, as they were` : ''}`);
    }
  }, 'nothing was changed');
}

/** Runs work that Ctrl-C ends. @param after what is to be known then */
async function untilStopped(work: (signal: AbortSignal) => Promise<void>, after: string): Promise<void> {
  let stopped: AbortSignal | undefined;
  try {
    await interruptible((signal) => work((stopped = signal)), () => process.stderr.write('\nstopping …\n'));
  } catch (error) {
    if (!stopped?.aborted || error !== stopped.reason) throw error;
    console.log(`Stopped: ${after}.`);
    process.exitCode = 130;
  }
}

/** The lines of progress of one file, one after the other. */
class Phases {
  #current: { progress: ByteProgress; label: string; begun: number; from: number; done: number } | undefined;

  begin(label: string): OnBytes {
    this.end();
    const progress = new ByteProgress(label), current = { progress, label, begun: performance.now(), from: -1, done: 0 };
    this.#current = current;
    return (done, total) => {
      if (current.from < 0 || done < current.done) current.from = done;
      current.done = done;
      progress.update(done, total);
    };
  }

  note(text: string): void {
    this.#current?.progress.clear();
    console.log(`  ${text}`);
  }

  end(): void {
    const current = this.#current;
    this.#current = undefined;
    if (current === undefined) return;
    current.progress.clear();
    const seconds = (performance.now() - current.begun) / 1000, bytes = current.done - Math.max(0, current.from);
    if (current.label === 'fetching' && bytes > 0) console.log(`  fetched ${byteSize(bytes)} in ${formatDuration(seconds)} (${byteSize(Math.round(bytes / Math.max(seconds, 1e-3)))}/s)${current.from > 0 ? `, after ${byteSize(current.from)} that were there` : ''}`);
  }
}
