/**
 * Pipes between children, and from a child to us. What Node makes for the stdio of a child are socket pairs, which cost a copy and
 * cannot join two children; so these are FIFOs that have lost their names, opened anew through /proc/self/fd for each pair of ends.
 */
import { closeSync, constants, openSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ToolError } from '../../core/errors.ts';
import { fileError, O_PATH } from '../files/files.ts';
import { command } from './child.ts';

/** Descriptors of the two ends of a pipe; whoever asked for them closes them. */
export interface PipeEnds {
  /** Does not block where it is asked to be for us, and blocks where a child reads it. */
  readonly readDescriptor: number;
  readonly writeDescriptor: number;
}

/** A pipe that can be used again when both its ends are closed: it is empty then. */
export class Fifo {
  readonly #descriptor: number;

  constructor(path: string) {
    this.#descriptor = openSync(path, O_PATH);
  }

  /** Opens both ends. @param reader who reads: a child, or this process, whose reading must not block */
  open(reader: 'child' | 'us'): PipeEnds {
    const path = `/proc/self/fd/${this.#descriptor}`;
    // Without a reader, opening the end that writes would wait for one; the reader that does not block needs no writer.
    const first = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const writeDescriptor = openSync(path, constants.O_WRONLY);
    if (reader === 'us') return { readDescriptor: first, writeDescriptor };
    const readDescriptor = openSync(path, constants.O_RDONLY);
    closeSync(first);
    return { readDescriptor, writeDescriptor };
  }

  /** Opens both ends for a child that reads what we write. Whoever starts the child closes the end that it reads, once it has inherited it. */
  openInput(): { readonly readDescriptor: number; readonly input: Socket } {
    const { readDescriptor, writeDescriptor } = this.open('child');
    const input = new Socket({ fd: writeDescriptor, readable: false, writable: true });
    // EPIPE: the child is gone; its exit code and its words say more.
    input.on('error', () => undefined);
    return { readDescriptor, input };
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}

/** Makes FIFOs. @throws ToolError when the directory for temporary files cannot be written */
export async function makeFifos(count: number): Promise<readonly Fifo[]> {
  const directory = await mkdtemp(join(tmpdir(), 'btrfs-to-s3-')).catch((cause: unknown) => {
    throw fileError(`cannot make pipes in ${tmpdir()}`, cause, undefined, 'make room there, or set TMPDIR');
  });
  try {
    const paths = Array.from({ length: count }, (_, index) => join(directory, `${index}`));
    const made = await command`mkfifo -m 0600 ${paths}`;
    if (made.exitCode !== 0) {
      throw new ToolError(`cannot make pipes in ${tmpdir()}`, { childOutput: made.stderr });
    }
    return paths.map((path) => new Fifo(path));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
