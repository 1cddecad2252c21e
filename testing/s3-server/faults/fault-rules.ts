/**
 * Fault rules: which requests meet a fault, when, and what it is. Plain data, so that they can come from a test, the
 * command line or another process.
 */
import { z } from 'zod';
import { OPERATIONS } from '../auth/actions.ts';
import { readSetting } from './invalid-setting.ts';

const count = z.int().min(1);
const bytes = z.int().min(0);

const operationSchema = z.enum(OPERATIONS, {
  error: ({ input }) => `${JSON.stringify(input)} is not an operation that this server knows`,
});

const when = {
  /** An operation or several, as RequestRecord.operation has them; any when it is left out. */
  operation: z
    .union([operationSchema, z.array(operationSchema).min(1).readonly()], {
      error: ({ input }) =>
        `${JSON.stringify(input)} is not an operation, or several, that this server knows`,
    })
    .optional(),
  /** A pattern for the key, in which `*` stands for any text. */
  key: z.string().min(1).optional(),
  /** So many matching requests are let through first. */
  skip: z.int().min(0).optional(),
  /** The next so many matching requests meet the fault, and none after them. */
  next: count.optional(),
  /** Every so-manieth matching request meets the fault; 1, every one, when neither this nor `next` is given. */
  every: count.optional(),
};

const ERROR_CODES = [
  'InternalError',
  'SlowDown',
  'ServiceUnavailable',
  'RequestTimeout',
  'ExpiredToken',
  'RequestTimeTooSkewed',
  'NoSuchBucket',
  'InvalidStorageClass',
  'PreconditionFailed',
  'ConditionalRequestConflict',
] as const;

const variants = [
  /**
   * The error is the answer, and nothing is done; with `retryAfter` seconds in a Retry-After header. The last two codes are
   * for conditional writes only.
   */
  z.strictObject({
    ...when,
    fault: z.literal('error'),
    code: z.enum(ERROR_CODES),
    retryAfter: z.int().min(0).optional(),
  }),
  /** The connection is reset before the body is read. */
  z.strictObject({ ...when, fault: z.literal('reset-before') }),
  /** The connection is reset after the body was read, and nothing is done. */
  z.strictObject({ ...when, fault: z.literal('reset-after') }),
  /** Everything is done, and the connection reset instead of an answer. */
  z.strictObject({ ...when, fault: z.literal('lost-response') }),
  /**
   * Everything is done, and the answer, or the rest of its body after `bytes`, comes `ms` milliseconds later; never
   * without `ms`.
   */
  z.strictObject({
    ...when,
    fault: z.literal('stall'),
    ms: z.int().min(1).max(86_400_000).optional(),
    bytes: bytes.optional(),
  }),
  /** Bodies, the request's and the answer's, take their time. */
  z.strictObject({ ...when, fault: z.literal('slow'), bytesPerSecond: count }),
  /** The answer's body ends after `bytes` with the connection closed, although Content-Length says more. */
  z.strictObject({ ...when, fault: z.literal('truncate'), bytes }),
  /** One byte of the answer's body is another; 0, the first one, by default. */
  z.strictObject({ ...when, fault: z.literal('corrupt'), offset: bytes.optional() }),
] as const;

const KINDS = variants.map((variant) => variant.shape.fault.value);

const ruleSchema = z
  .discriminatedUnion('fault', variants, { error: `fault has to be one of ${KINDS.join(', ')}` })
  .refine((rule) => rule.next === undefined || rule.every === undefined, {
    error: 'next and every exclude each other',
  });

/** One rule. Offsets and lengths are bytes of the body as it is sent. */
export type FaultRule = Readonly<z.infer<typeof ruleSchema>>;

/** Checks rules that came as data. @throws InvalidSetting that says which rule is wrong, and how */
export function readFaultRules(value: unknown): readonly FaultRule[] {
  return readSetting('fault rules', z.array(ruleSchema), value);
}
