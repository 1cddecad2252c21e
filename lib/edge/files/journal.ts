/** The journal of an upload: one JSON line per event, flushed as it happens, so that a killed run can go on. */
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { type JournalEvent, journalEventSchema } from '../../core/format/run-files.ts';
import { seal, sealed } from './checked-json.ts';
import { codeOf, fileError } from './files.ts';

/** A line longer than this is none of ours: a chunk of 10,000 parts, each of them a frame, takes up half of it. */
const maxLineBytes = 2 ** 22;

const lineSchema = sealed(journalEventSchema);

/** Appends events to a journal. */
export class Journal {
  readonly #path: string;
  readonly #file: FileHandle;

  private constructor(path: string, file: FileHandle) {
    this.#path = path;
    this.#file = file;
  }

  /**
   * Opens a journal, which goes on behind what is there. What reading would ignore is cut off first, or the next event would
   * share a line with it and be ignored too.
   */
  static async open(path: string): Promise<Journal> {
    const { sizeBytes } = await readEvents(path);
    try {
      const file = await open(path, 'a', 0o600);
      await file.truncate(sizeBytes);
      return new Journal(path, file);
    } catch (cause) {
      throw fileError(`cannot open ${path}`, cause);
    }
  }

  /** Appends one event and waits until it is on disk. */
  async append(event: JournalEvent): Promise<void> {
    try {
      const line = Buffer.from(`${JSON.stringify(seal(event))}\n`);
      const { bytesWritten } = await this.#file.write(line);
      // What a file takes only in part, the disk has no room for.
      if (bytesWritten < line.length) throw Object.assign(new Error('short write'), { code: 'ENOSPC' });
      await this.#file.datasync();
    } catch (cause) {
      throw fileError(`cannot write ${this.#path}`, cause);
    }
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

/**
 * Reads the events of a journal; empty when there is none. A line that cannot be understood ends the reading: a torn
 * last line is what a crash leaves, and what follows a damaged line cannot be trusted.
 */
export async function readJournal(path: string): Promise<readonly JournalEvent[]> {
  return (await readEvents(path)).events;
}

/** Events that can be understood, and how many bytes of the file they take up. */
interface ReadEvents {
  readonly events: readonly JournalEvent[];
  readonly sizeBytes: number;
}

const nothing: ReadEvents = { events: [], sizeBytes: 0 };

async function readEvents(path: string): Promise<ReadEvents> {
  let data: Buffer;
  try {
    data = await readFile(path);
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return nothing;
    throw fileError(`cannot read ${path}`, cause);
  }
  const events: JournalEvent[] = [];
  let sizeBytes = 0;
  for (let end = data.indexOf('\n'); end >= 0; end = data.indexOf('\n', sizeBytes)) {
    const event =
      end - sizeBytes > maxLineBytes ? undefined : parseLine(data.toString('utf8', sizeBytes, end));
    if (!event) break;
    events.push(event);
    sizeBytes = end + 1;
  }
  return { events, sizeBytes };
}

function parseLine(line: string): JournalEvent | undefined {
  try {
    return lineSchema.parse(JSON.parse(line));
  } catch {
    return undefined;
  }
}
