/** Random choices and bytes that are the same for the same label, on every machine. */
import { createCipheriv, createHash } from 'node:crypto';

/** A stream of random numbers and bytes; each call moves on. */
export type DeterministicRandom = {
  /** A whole number from 0 up to, but without, `limit` (at most 2^32). */
  readonly below: (limit: number) => number;
  /** Takes one element out of `items`; throws when it is empty. */
  readonly take: <T>(items: T[]) => T;
  /** `length` bytes that do not compress. */
  readonly bytes: (length: number) => Buffer;
};

/** The generator of `label`: AES-256-CTR over zeros, the key being the label's SHA-256 (about 1 GB/s). */
export function deterministicRandom(label: string): DeterministicRandom {
  const key = createHash('sha256').update(label).digest();
  const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16));
  const bytes = (length: number): Buffer => cipher.update(Buffer.alloc(length));
  const below = (limit: number): number => bytes(4).readUInt32LE() % limit;
  const take = <T>(items: T[]): T => {
    const [item] = items.splice(below(Math.max(items.length, 1)), 1);
    if (item === undefined) throw new Error('nothing left to choose from');
    return item;
  };
  return { below, take, bytes };
}
