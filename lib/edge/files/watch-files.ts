/** RUN_DIR/@watch/: what the last runs did, and how the bucket looked. "@" cannot be in the name of a subvolume. */
import { chmod, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type HealthFile, healthFileSchema } from '../../core/watch/health.ts';
import { type RunRecord, runRecordSchema } from '../../core/watch/run-record.ts';
import { fileError, readJsonFile, writeJsonFile } from './files.ts';

/** The records of one RUN_DIR. What cannot be read is as if it were not there: the next run writes it anew. */
export class WatchFiles {
  readonly #directory: string;

  constructor(runDirectory: string) {
    this.#directory = join(runDirectory, '@watch');
  }

  /** The last run of a command; undefined where that is not known. */
  readRun(command: string): Promise<RunRecord | undefined> {
    return readJsonFile(this.#runPath(command), runRecordSchema).catch(() => undefined);
  }

  /** The last runs of all commands, by name. */
  async readRuns(): Promise<readonly RunRecord[]> {
    const names = await readdir(this.#directory).catch((): string[] => []);
    const commands = names.sort().flatMap((name) => /^run-([a-z]+)\.json$/.exec(name)?.[1] ?? []);
    const runs = await Promise.all(commands.map((command) => this.readRun(command)));
    return runs.filter((run) => run !== undefined);
  }

  writeRun(record: RunRecord): Promise<void> {
    return writeJsonFile(this.#runPath(record.command), record);
  }

  /** How the bucket looked; undefined where that is not known. */
  readHealth(): Promise<HealthFile | undefined> {
    return readJsonFile(this.#healthPath, healthFileSchema).catch(() => undefined);
  }

  writeHealth(file: HealthFile): Promise<void> {
    return writeJsonFile(this.#healthPath, file);
  }

  #runPath(command: string): string {
    return join(this.#directory, `run-${command}.json`);
  }

  get #healthPath(): string {
    return join(this.#directory, 'health.json');
  }
}

/**
 * Writes METRICS_FILE whole or not at all, readable by all: node_exporter has a user of its own. Its name while it is written does
 * not end in .prom, so that node_exporter passes it over. It is not flushed: after a crash the next run writes it.
 * @throws ToolError when it cannot be written
 */
export async function writeMetricsFile(path: string, text: string): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    await writeFile(temporary, text);
    // Whatever the umask is.
    await chmod(temporary, 0o644);
    await rename(temporary, path);
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw fileError(
      `cannot write METRICS_FILE ${path}`,
      cause,
      'make its directory, which node_exporter reads with --collector.textfile.directory',
    );
  }
}
