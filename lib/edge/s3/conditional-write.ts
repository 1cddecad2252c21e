/** Conditional writes. A chunk is written where no object is, or over our own: what another run published is never replaced. */
import { headObject, type ObjectHead, type StoredObject } from './objects.ts';
import type { Bucket } from './s3-client.ts';
import { detailsOf, isDenied, isNamed, reasonOf, statusOf } from './s3-errors.ts';

/** When an object may be written: only where none is, or only over the one with a given ETag. */
export type Precondition = { readonly absent: true } | { readonly etag: string };

/** A precondition in the words of a request; empty for a server that does not know any. */
export type Condition =
  | { readonly IfNoneMatch: string }
  | { readonly IfMatch: string }
  | Readonly<Record<never, never>>;

/**
 * The precondition in the words of a request. A quoted `If-Match` is what S3 documents; Ceph's gateway answers 412 to it, but
 * takes the bare value, as S3 does too.
 */
export function conditionOf({ habits }: Bucket, precondition: Precondition): Condition {
  if (!habits.keepsConditions) return {};
  return 'absent' in precondition ? { IfNoneMatch: '*' } : { IfMatch: precondition.etag.replaceAll('"', '') };
}

/** True when a write was refused for its precondition. `NoSuchKey` is S3's answer to `If-Match` where there is no object. */
export function isRefusedFor(precondition: Precondition, error: unknown): boolean {
  return isNamed(error, 'PreconditionFailed') || ('etag' in precondition && isNamed(error, 'NoSuchKey'));
}

/** What a look before a write says, in the name that S3 has for it. */
class DoesNotHold extends Error {
  override readonly name = 'PreconditionFailed';
}

/**
 * Writes under a precondition. Where the server turns out to know none, and from then on, what is there is looked at just before.
 * @throws what `isRefusedFor` knows when the precondition does not hold; what `write` throws
 */
export async function writeUnder<Result>(
  bucket: Bucket,
  key: string,
  precondition: Precondition,
  write: (condition: Condition) => Promise<Result>,
): Promise<Result> {
  if (!bucket.habits.keepsConditions) return lookAndWrite(bucket, key, precondition, write);
  try {
    return await write(conditionOf(bucket, precondition));
  } catch (error) {
    if (!mayBeForCondition(error)) throw error;
    const written = await lookAndWrite(bucket, key, precondition, write).catch((reason: unknown) => {
      // It was not the condition: what was said first is what is wrong.
      throw statusOf(reasonOf(reason)) === statusOf(reasonOf(error)) ? error : reason;
    });
    bucket.habits.loseConditions('refuses');
    return written;
  }
}

async function lookAndWrite<Result>(
  bucket: Bucket,
  key: string,
  precondition: Precondition,
  write: (condition: Condition) => Promise<Result>,
): Promise<Result> {
  const object = await headObject(bucket, key);
  const bare = (etag: string) => etag.replaceAll('"', '');
  const holds =
    'absent' in precondition
      ? object === undefined
      : object !== undefined && bare(object.etag) === bare(precondition.etag);
  if (!holds) throw new DoesNotHold(`${key} is not as it was expected`);
  return write({});
}

/**
 * True when a refusal may be of the condition: servers name the header, or say in general that something is not implemented. What names
 * something else is about that.
 */
export function mayBeForCondition(error: unknown): boolean {
  const reason = reasonOf(error);
  const { name, message = '' } = detailsOf(reason);
  if (![400, 501].includes(statusOf(reason))) return false;
  if (/if-(none-)?match/i.test(message)) return true;
  return name === 'NotImplemented' && !/x-amz-|encrypt|kms|storage class/i.test(message);
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
 * @param replaces ETag of an object of ours that may be written over; empty where it is not known.
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
  // Where the server did not show ours when it was stored, its ETag is the one that it has now.
  const etag = replaces === '' ? (await headObject(bucket, key))?.etag : replaces;
  let precondition: Precondition = etag === undefined ? { absent: true } : { etag };
  let denial: unknown;
  for (;;) {
    try {
      return await writeUnder(bucket, key, precondition, write);
    } catch (error) {
      if ('etag' in precondition && isDenied(error)) {
        // A policy may allow new objects alone. A write that replaces nothing shows whether it is that.
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
