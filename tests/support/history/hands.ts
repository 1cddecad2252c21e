/** A Python process that does what Node has no call for, and walks trees without any code of what made the backup. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';

/** An entry of a tree; the path has one character a byte. */
export interface Entry {
  readonly path: string;
  /** `d`, `f`, `l`, `p`, `s`, `c` or `b`. */
  readonly type: string;
  readonly size: number;
}

/** All that a restore has to bring back of one entry. */
export type EntryRecord = Readonly<Record<string, unknown>>;

/** A tree, by path. */
export type TreeRecord = Readonly<Record<string, EntryRecord>>;

/** The kernel refused a call; a user would have seen the same. */
export class Refused extends Error {
  override readonly name = 'Refused';
}

type Request = Readonly<Record<string, string | number | boolean>>;

/** The process. One request at a time. */
export class Hands {
  readonly #child: ChildProcess;
  readonly #lines: Interface;
  readonly #answers: AsyncIterator<string>;

  constructor() {
    // In a process group of its own, so that Ctrl-C leaves it alone until all is cleaned up.
    this.#child = spawn('python3', [join(import.meta.dirname, 'hands.py')], {
      stdio: ['pipe', 'pipe', 'inherit'],
      detached: true,
    });
    if (!this.#child.stdout) throw new Error('python3 has no output');
    this.#lines = createInterface({ input: this.#child.stdout });
    this.#answers = this.#lines[Symbol.asyncIterator]();
  }

  /**
   * Does one operation of hands.py below a root.
   * @throws Refused when the kernel refuses it.
   */
  async do(operation: string, root: string, request: Request = {}): Promise<unknown> {
    this.#child.stdin?.write(`${JSON.stringify({ operation, root, ...request })}\n`);
    const { value, done } = await this.#answers.next();
    if (done) throw new Error(`python3 has ended during ${operation}`);
    const answer = JSON.parse(value) as { result?: unknown; refused?: string; mistake?: string };
    if (answer.mistake !== undefined)
      throw new Error(`${operation} ${JSON.stringify(request)}: ${answer.mistake}`);
    if (answer.refused !== undefined) throw new Refused(answer.refused);
    return answer.result;
  }

  /** Every entry below a root, sorted. */
  async list(root: string): Promise<readonly Entry[]> {
    return (await this.do('list_tree', root)) as readonly Entry[];
  }

  /** Records a tree. */
  async walk(root: string): Promise<TreeRecord> {
    return (await this.do('walk', root)) as TreeRecord;
  }

  /** Ends the process. */
  close(): void {
    this.#lines.close();
    this.#child.stdin?.end();
  }
}

/** What differs between two trees: one line a path. */
export function differencesOf(expected: TreeRecord, actual: TreeRecord): readonly string[] {
  const paths = [...new Set([...Object.keys(expected), ...Object.keys(actual)])].sort();
  return paths.flatMap((path) => {
    const [before, after] = [expected[path], actual[path]];
    const name = JSON.stringify(path.length > 120 ? `${path.slice(0, 60)}… (${path.length} bytes)` : path);
    if (!after) return [`${name} is missing`];
    if (!before) return [`${name} should not be there`];
    const fields = [...new Set([...Object.keys(before), ...Object.keys(after)])];
    const changes = fields
      .filter((field) => JSON.stringify(before[field]) !== JSON.stringify(after[field]))
      .map((field) => `${field} ${shorten(before[field])} became ${shorten(after[field])}`);
    return changes.length > 0 ? [`${name}: ${changes.join(', ')}`] : [];
  });
}

function shorten(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
