/**
 * RUN_DIR/@watch/proven.json: chunks that are not described as their manifest has it, as in a copy of the bucket, and whose bytes were read and found
 * right. Losing it costs another reading of them.
 */
import { join } from 'node:path';
import { z } from 'zod';
import { seal, sealed } from './checked-json.ts';
import { pathExists, readJsonFile, writeJsonFile } from './files.ts';

const schema = z.object({
  version: z.literal(1),
  /** Server and bucket. */
  place: z.string(),
  /** By key, the ETag that the chunk had when it was read. */
  etags: z.record(z.string(), z.string()),
});

/** The chunks of one bucket that were found right. */
export class ProvenChunks {
  readonly #runDirectory: string;
  readonly #path: string;
  readonly #place: string;

  constructor(runDirectory: string, { server, name }: { readonly server: string; readonly name: string }) {
    this.#runDirectory = runDirectory;
    this.#path = join(runDirectory, '@watch/proven.json');
    this.#place = `${server} ${name}`;
  }

  /** Their ETags, by key; none where that is not known. */
  async read(): Promise<ReadonlyMap<string, string>> {
    const file = await readJsonFile(this.#path, sealed(schema)).catch(() => undefined);
    return new Map(file?.place === this.#place ? Object.entries(file.etags) : []);
  }

  /** Writes them where there is a RUN_DIR: a host that only looks need not get one. @throws ToolError when it cannot be written */
  async write(etags: ReadonlyMap<string, string>): Promise<void> {
    if (!(await pathExists(this.#runDirectory))) return;
    const file = { version: 1, place: this.#place, etags: Object.fromEntries(etags) };
    await writeJsonFile(this.#path, seal(file));
  }
}
