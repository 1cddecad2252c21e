/** Looks at a send stream while it passes: at its head, at paths that no restore could make, and whether it comes to its end. */
import { CommandScanner, type Memory } from './command-scanner.ts';
import { COMMANDS } from './commands.ts';
import { checkPaths } from './path-limits.ts';
import {
  concatenate,
  type Labels,
  relabelClone,
  relabelEnd,
  relabelFirstCommand,
} from './rewrite/relabel.ts';
import type { StrayDirectories } from './rewrite/stray-directories.ts';
import { StreamDemands } from './stream-demands.ts';
import { parseFirstCommand, type StreamHead } from './stream-head.ts';

const relabelled: ReadonlySet<number> = new Set([
  COMMANDS.clone,
  COMMANDS.end,
  COMMANDS.setXattr,
  COMMANDS.removeXattr,
]);

/** What is done about what an inspector sees. */
export interface Inspection {
  /** Called with the stream's head before anything of it is passed on; what it throws ends the stream. */
  readonly onHead?: (head: StreamHead) => void;
  /** Passes the stream on with other labels. */
  readonly labels?: Labels;
  /** Takes note of the directories that an incremental stream leaves behind. */
  readonly strays?: StrayDirectories;
}

/** The inspection of one stream. */
export class StreamInspector {
  readonly #scanner = new CommandScanner((type, memory, from, to) => this.#visit(type, memory, from, to));
  readonly #inspection: Inspection;
  /** What the stream has demanded so far of where it is received. */
  readonly demands = new StreamDemands();
  #head: StreamHead | undefined;

  constructor(inspection: Inspection = {}) {
    this.#inspection = inspection;
  }

  /**
   * Takes the next bytes of the stream, and gives what to pass on in their place.
   * @throws StreamFormatError for bytes that are no stream; PathTooLong.
   */
  push(bytes: Uint8Array): readonly Uint8Array[] {
    return this.#scanner.push(bytes);
  }

  /** Says that nothing follows; gives the head. @throws StreamFormatError when the stream is not at its end */
  finish(): StreamHead {
    this.#scanner.finish();
    if (!this.#head) throw new Error('a stream that has ended has a head');
    return this.#head;
  }

  #visit(type: number, memory: Memory, from: number, to: number): Uint8Array | undefined {
    const { labels, onHead, strays } = this.#inspection;
    if (!this.#head) {
      const command = memory.bytes.subarray(from, to);
      this.#head = parseFirstCommand(this.#scanner.version ?? 0, command);
      onHead?.(this.#head);
      return labels && relabelFirstCommand(type, command, labels);
    }
    checkPaths(type, memory, from, to, this.#head.uuid);
    this.demands.see(type, memory, from, to);
    // A full stream deletes nothing.
    const before = this.#head.parent && strays?.see(type, memory, from, to);
    if (before) return concatenate(before, memory.bytes.subarray(from, to));
    if (!labels || !relabelled.has(type)) return undefined;
    const command = memory.bytes.subarray(from, to);
    if (type === COMMANDS.clone) return relabelClone(command, this.#head, labels);
    if (type === COMMANDS.end) return relabelEnd(command, labels);
    return labels.rootAttributes.hold(type, command) ? new Uint8Array() : undefined;
  }
}
