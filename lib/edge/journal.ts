/** The journal of an upload: one JSON line per event, flushed as it happens, so that a killed run can go on. */
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { type JournalEvent, journalEventSchema } from '../core/run-files.ts';
import { codeOf, fileError } from './files.ts';

/** Appends events to a journal. */
export class Journal {
  readonly #path: string;
  readonly #file: FileHandle;

  private constructor(path: string, file: FileHandle) {
    this.#path = path;
    this.#file = file;
  }

  /** Opens a journal: goes on with what is there, or begins an empty one. */
  static async open(path: string, mode: 'continue' | 'begin'): Promise<Journal> {
    try {
      return new Journal(path, await open(path, mode === 'begin' ? 'w' : 'a', 0o600));
    } catch (cause) {
      throw fileError(`cannot open ${path}`, cause);
    }
  }

  /** Appends one event and waits until it is on disk. */
  async append(event: JournalEvent): Promise<void> {
    try {
      await this.#file.write(`${JSON.stringify(event)}\n`);
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
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return [];
    throw fileError(`cannot read ${path}`, cause);
  }
  const events: JournalEvent[] = [];
  for (const line of text.split('\n').slice(0, -1)) {
    const event = parseLine(line);
    if (!event) break;
    events.push(event);
  }
  return events;
}

function parseLine(line: string): JournalEvent | undefined {
  try {
    return journalEventSchema.parse(JSON.parse(line));
  } catch {
    return undefined;
  }
}
