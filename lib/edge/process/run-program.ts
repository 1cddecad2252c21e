/** Runs a program on bytes that fit into memory: bytes in, bytes out. */
import { type StreamChild, startStreamChild } from './child.ts';
import type { Step } from './pipeline.ts';

/**
 * Runs a program and gives what it wrote.
 * @throws ToolError when it cannot be started or fails, with its words; the signal's reason when aborted
 */
export async function runProgram(
  { name, file, args }: Step,
  input: Uint8Array = new Uint8Array(),
  signal?: AbortSignal,
): Promise<Buffer> {
  signal?.throwIfAborted();
  const child = startStreamChild(name, file, args, ['pipe', 'pipe']);
  const abort = () => void child.stop();
  signal?.addEventListener('abort', abort, { once: true });
  try {
    return await outputOf(child, input);
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener('abort', abort);
    await child.stop();
  }
}

async function outputOf({ process: child, finished }: StreamChild, input: Uint8Array): Promise<Buffer> {
  const pieces: Buffer[] = [];
  child.stdout?.on('data', (piece: Buffer) => pieces.push(piece));
  // EPIPE: the program is gone; its exit code and its words say more.
  child.stdin?.on('error', () => undefined).end(input);
  await finished;
  return Buffer.concat(pieces);
}
