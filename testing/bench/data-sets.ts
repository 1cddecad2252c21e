/** What is backed up: kinds of data, the same bytes on every machine. */
import { mkdir, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MIB } from '../../lib/core/units.ts';
import { deterministicRandom } from '../harness/deterministic-random.ts';

/** A kind of data. */
export interface DataSet {
  readonly name: string;
  readonly about: string;
  readonly mountOptions: readonly string[];
  /** Fills a directory; `sizeBytes` is what SIZE says. @throws the reason of the signal */
  readonly fill: (directory: string, sizeBytes: number, signal: AbortSignal) => Promise<void>;
}

const fileCount = 100_000;
const fileCountAtBytes = 2048 * MIB;
const filesPerDirectory = 500;
const largestSmallFileBytes = 8192;

/** How many small files there are: 100,000 at 2 GiB, and in proportion, so that a quick trial is quick. */
export function smallFileCount(sizeBytes: number): number {
  return Math.max(100, Math.round((fileCount * sizeBytes) / fileCountAtBytes));
}

/** The data sets, in the order in which they are measured. */
export const dataSets: readonly DataSet[] = [
  {
    name: 'incompressible',
    about: 'eight files of random bytes',
    mountOptions: [],
    async fill(directory, sizeBytes, signal) {
      for (let index = 0; index < 8; index += 1) {
        signal.throwIfAborted();
        await writeIncompressible(join(directory, `random-${index}`), Math.ceil(sizeBytes / 8));
      }
    },
  },
  {
    name: 'compressible',
    about: 'a log file on a mount with compress=zstd',
    mountOptions: ['compress=zstd'],
    fill: writeLog,
  },
  {
    name: 'text',
    about: 'the same log file, which Btrfs does not compress',
    mountOptions: [],
    fill: writeLog,
  },
  {
    name: 'small-files',
    about: 'files of up to 8 KiB, 100,000 of them',
    mountOptions: [],
    async fill(directory, sizeBytes, signal) {
      const random = deterministicRandom('small files');
      for (let index = 0; index < smallFileCount(sizeBytes); index += 1) {
        signal.throwIfAborted();
        const folder = join(directory, `${Math.floor(index / filesPerDirectory)}`);
        if (index % filesPerDirectory === 0) await mkdir(folder);
        await writeFile(join(folder, `file-${index}`), random.bytes(random.below(largestSmallFileBytes + 1)));
      }
    },
  },
];

async function writeLog(directory: string, sizeBytes: number, signal: AbortSignal): Promise<void> {
  const file = await open(join(directory, 'log'), 'wx');
  const text = logText();
  for (let written = 0; written < sizeBytes && !signal.aborted; written += text.length) {
    await file.writeFile(text.subarray(0, sizeBytes - written));
  }
  await file.close();
  signal.throwIfAborted();
}

/** Writes a file that does not compress. */
export async function writeIncompressible(path: string, bytes: number): Promise<void> {
  const random = deterministicRandom(path.slice(path.lastIndexOf('/') + 1));
  const file = await open(path, 'wx');
  for (let written = 0; written < bytes; written += MIB) {
    await file.writeFile(random.bytes(Math.min(MIB, bytes - written)));
  }
  await file.close();
}

/** Some MiB of lines as a server logs them. Btrfs compresses 128 KiB at a time, so that what comes again later is no help to it. */
function logText(): Buffer {
  const random = deterministicRandom('log');
  const words = Array.from({ length: 2000 }, () => random.bytes(3 + random.below(5)).toString('base64url'));
  const lines: string[] = [];
  for (let index = 0; index < 40_000; index += 1) {
    const rest = Array.from({ length: 12 }, () => words[random.below(words.length)]);
    lines.push(
      `2026-01-01T00:00:${String(index % 60).padStart(2, '0')}Z host-${random.below(9)} ${rest.join(' ')}\n`,
    );
  }
  return Buffer.from(lines.join(''));
}
