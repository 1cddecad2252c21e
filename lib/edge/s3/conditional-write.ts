/** Conditional writes. A chunk is written where no object is, or over our own: what another run published is never replaced. */
import { headObject, type ObjectHead, type StoredObject } from './objects.ts';
import type { Bucket } from './s3-client.ts';
import { isDenied, isNamed } from './s3-errors.ts';

/** When an object may be written: only where none is, or only over the one with a given ETag. */
export type Precondition = { readonly absent: true } | { readonly etag: string };

/** A precondition in the words of a request. */
export type Condition = { readonly IfNoneMatch: string } | { readonly IfMatch: string };

/**
 * The precondition in the words of a request. A quoted `If-Match` is what S3 documents; Ceph's gateway answers 412 to it, but
 * takes the bare value, as S3 does too.
 */
export function conditionOf(precondition: Precondition): Condition {
  return 'absent' in precondition ? { IfNoneMatch: '*' } : { IfMatch: precondition.etag.replaceAll('"', '') };
}

/** True when a write was refused for its precondition. `NoSuchKey` is S3's answer to `If-Match` where there is no object. */
export function isRefusedFor(precondition: Precondition, error: unknown): boolean {
  return isNamed(error, 'PreconditionFailed') || ('etag' in precondition && isNamed(error, 'NoSuchKey'));
}

/** Another object stands where a chunk was to be stored. */
export class KeyTaken extends Error {
  override readonly name = 'KeyTaken';

  constructor(key: string, cause: unknown) {
    super(`${key} exists already, with other bytes`, { cause });
  }
}

/** Our own object, with other bytes, stands where a chunk was to be stored, and these credentials may not write over it. */
export class MayNotReplace extends Error {
  override readonly name = 'MayNotReplace';

  constructor(key: string, cause: unknown) {
    super(`${key} has to be stored again, and these credentials may not overwrite it`, { cause });
  }
}

/**
 * Writes an object unless another one is there: two hosts use the same keys when they were given the same prefix and begin in
 * the same second.
 * @param replaces ETag of an object of ours that may be written over.
 * @param asOurs what was stored, if the object that was met is that: its answer was lost.
 * @throws KeyTaken when another object is there; MayNotReplace when ours is, and a policy lets nothing be replaced.
 */
export async function unlessTaken(
  bucket: Bucket,
  key: string,
  replaces: string | undefined,
  write: (condition: Condition) => Promise<StoredObject>,
  asOurs: (object: ObjectHead) => Promise<StoredObject | undefined>,
): Promise<StoredObject> {
  let precondition: Precondition = replaces === undefined ? { absent: true } : { etag: replaces };
  let denial: unknown;
  for (;;) {
    try {
      return await write(conditionOf(precondition));
    } catch (error) {
      if ('etag' in precondition && isDenied(error)) {
        // A policy may allow new objects alone. Whether it is that, a write that replaces nothing tells.
        denial = error;
        precondition = { absent: true };
        continue;
      }
      if (!isRefusedFor(precondition, error)) throw error;
      const object = await headObject(bucket, key);
      const ours = object && (await asOurs(object));
      if (ours) return ours;
      if (denial) throw new MayNotReplace(key, denial);
      if (object || 'absent' in precondition) throw new KeyTaken(key, error);
      precondition = { absent: true };
    }
  }
}
