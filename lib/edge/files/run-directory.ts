/** RUN_DIR/<subvolume>/: what one stage leaves for the next. Losing it means that an unfinished upload begins again. */
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type ChunksFile,
  type ContinuedFile,
  chunksFileSchema,
  continuedFileSchema,
  type PruningFile,
  type PublishedFile,
  pruningFileSchema,
  publishedFileSchema,
  type SnapshotFile,
  snapshotFileSchema,
  type TakenFile,
  takenFileSchema,
} from '../../core/format/run-files.ts';
import { seal, sealed } from './checked-json.ts';
import { DamagedFile, fileError, readJsonFile, writeJsonFile } from './files.ts';

/** The run files of one subvolume. */
export class RunDirectory {
  readonly path: string;
  readonly #subvolume: string;

  constructor(runDirectory: string, subvolume: string) {
    this.path = join(runDirectory, subvolume);
    this.#subvolume = subvolume;
  }

  /** Makes the directory, 0700. */
  async create(): Promise<void> {
    try {
      await mkdir(this.path, { recursive: true, mode: 0o700 });
    } catch (cause) {
      throw fileError(`cannot make ${this.path}`, cause);
    }
  }

  get journalPath(): string {
    return join(this.path, 'upload.jsonl');
  }

  get snapshotPath(): string {
    return this.#file('snapshot.json');
  }

  /** @throws DamagedFile also for a file of another subvolume, whose snapshot is not ours to send or to delete */
  async readSnapshot(): Promise<SnapshotFile | undefined> {
    const path = this.snapshotPath;
    const file = await readJsonFile(path, sealed(snapshotFileSchema));
    if (file === undefined || file.subvolume === this.#subvolume) return file;
    throw new DamagedFile(`${path} is of subvolume "${file.subvolume}", not of "${this.#subvolume}"`);
  }

  writeSnapshot(file: SnapshotFile): Promise<void> {
    return writeJsonFile(this.snapshotPath, seal(file));
  }

  readChunks(): Promise<ChunksFile | undefined> {
    return readJsonFile(this.#file('chunks.json'), sealed(chunksFileSchema));
  }

  writeChunks(file: ChunksFile): Promise<void> {
    return writeJsonFile(this.#file('chunks.json'), seal(file));
  }

  /** The snapshots that were taken from here; none where that is not known. */
  async readTaken(): Promise<TakenFile> {
    const file = await readJsonFile(this.#file('taken.json'), sealed(takenFileSchema)).catch(() => undefined);
    return file ?? { snapshots: [] };
  }

  writeTaken(file: TakenFile): Promise<void> {
    return writeJsonFile(this.#file('taken.json'), seal(file));
  }

  /** What was published last; undefined where that is not known. */
  readPublished(): Promise<PublishedFile | undefined> {
    return readJsonFile(this.#file('published.json'), publishedFileSchema).catch(() => undefined);
  }

  /** Records a publish, then removes what led to it. */
  async finish(file: PublishedFile): Promise<void> {
    await writeJsonFile(this.#file('published.json'), file);
    await this.clear();
  }

  /** Takes back that the upload is whole; the journal stays. */
  async forgetChunks(): Promise<void> {
    await rm(this.#file('chunks.json'), { force: true });
  }

  /** Removes an unfinished run. snapshot.json goes last: without it the others mean nothing. */
  async clear(): Promise<void> {
    await rm(this.#file('chunks.json'), { force: true });
    await rm(this.journalPath, { force: true });
    await rm(this.snapshotPath, { force: true });
  }

  /** Renames a file that is damaged, over one that was set aside before. @returns its new path */
  async setAside(name: 'snapshot.json' | 'chunks.json'): Promise<string> {
    const aside = this.#file(`${name}.damaged`);
    await rename(this.#file(name), aside).catch((cause: unknown) => {
      throw fileError(`cannot rename ${this.#file(name)}`, cause);
    });
    return aside;
  }

  /** What was restored here to continue; undefined where that is not known. */
  readContinued(): Promise<ContinuedFile | undefined> {
    return readJsonFile(this.#file('continued.json'), sealed(continuedFileSchema)).catch(() => undefined);
  }

  writeContinued(file: ContinuedFile): Promise<void> {
    return writeJsonFile(this.#file('continued.json'), seal(file));
  }

  async forgetContinued(): Promise<void> {
    await rm(this.#file('continued.json'), { force: true });
  }

  readPruning(): Promise<PruningFile | undefined> {
    return readJsonFile(this.#file('pruning.json'), sealed(pruningFileSchema));
  }

  writePruning(file: PruningFile): Promise<void> {
    return writeJsonFile(this.#file('pruning.json'), seal(file));
  }

  async forgetPruning(): Promise<void> {
    await rm(this.#file('pruning.json'), { force: true });
  }

  #file(name: string): string {
    return join(this.path, name);
  }
}
