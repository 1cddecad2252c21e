/**
 * A digest inside of JSON that only this host reads again. A flipped bit in a hash or a size leaves JSON that looks sound, and
 * would be published as the truth.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';

/** The object with the digest of all that is in it. */
export function seal(value: object): object {
  return { ...value, check: digestOf(value) };
}

/** A schema for what `seal` made. */
export function sealed<Schema extends z.ZodType>(schema: Schema) {
  return z.preprocess((value, context) => {
    const { check, ...rest } = Object(value);
    if (check === digestOf(rest)) return rest;
    context.addIssue('was changed since it was written');
    return z.NEVER;
  }, schema);
}

function digestOf(value: object): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16);
}
