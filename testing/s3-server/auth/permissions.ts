/**
 * What the account may do, as a least-privilege policy would have it: an action that is denied is denied, and where
 * there is a list of allowed ones, so is every other.
 */
import { z } from 'zod';
import { readSetting } from '../faults/invalid-setting.ts';
import { matchesKey } from '../faults/key-pattern.ts';
import { S3Error } from '../http/errors.ts';
import type { S3Request } from '../http/request.ts';
import { ACTIONS, type Action, requiredActions } from './actions.ts';

/**
 * An action, or an action, a blank and a pattern of the keys it is about: `s3:GetObject`, `s3:PutObject host/*`.
 * For listing, the pattern is held against the prefix that is listed, as the condition `s3:prefix` of a policy is.
 */
const textGrantSchema = z.string().refine((text) => ACTIONS.has(splitGrant(text).action), {
  error: ({ input }) => `'${splitGrant(String(input)).action}' is not an action that this server knows`,
});

/**
 * What a write has to be like, as the condition keys s3:if-none-match, s3:if-match and s3:ObjectCreationOperation of a policy
 * have it: it carries the header, or it makes no object yet, as CreateMultipartUpload and UploadPart
 * (https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html).
 */
const conditionSchema = z.enum(['if-none-match', 'if-match', 'creates no object']);

/** The same as an object, with a condition if it has one. */
const grantSchema = z.union([
  textGrantSchema,
  z.strictObject({ grant: textGrantSchema, only: conditionSchema }),
]);

type GrantSetting = z.output<typeof grantSchema>;

const permissionsSchema = z.strictObject({
  denied: z.array(grantSchema).readonly().default([]),
  allowed: z.array(grantSchema).readonly().optional(),
});

/** Both lists; without `allowed`, what is not denied is allowed. */
export type PermissionSettings = Readonly<z.input<typeof permissionsSchema>>;

interface Grant {
  readonly action: string;
  readonly keys: string | undefined;
}

type Condition = z.output<typeof conditionSchema>;

/** What is to be done, and to what. */
interface Access {
  readonly action: Action;
  readonly bucket: string | undefined;
  readonly key: string | undefined;
  /** The prefix of a listing. */
  readonly prefix?: string | undefined;
  /** Which conditions of grants hold for the request. */
  readonly holds?: ReadonlySet<Condition>;
}

/** Operations that need s3:PutObject and make no object. */
const STEPS: ReadonlySet<string> = new Set(['CreateMultipartUpload', 'UploadPart']);

function conditionsOf(operation: string, { headers }: S3Request): ReadonlySet<Condition> {
  const named = (['if-none-match', 'if-match'] as const).filter((name) => headers[name] !== undefined);
  return new Set<Condition>(STEPS.has(operation) ? [...named, 'creates no object'] : named);
}

/** Operations whose "not found" reveals what only those who may list should learn. */
const READS: ReadonlySet<string> = new Set(['GetObject', 'HeadObject', 'GetObjectAttributes']);

const LISTS: ReadonlySet<string> = new Set(['s3:ListBucket', 's3:ListBucketVersions']);

function splitGrant(text: string): Grant {
  const blank = text.indexOf(' ');
  return blank === -1
    ? { action: text, keys: undefined }
    : { action: text.slice(0, blank), keys: text.slice(blank + 1) };
}

function covers(setting: GrantSetting, access: Access): boolean {
  const { grant, only } = typeof setting === 'string' ? { grant: setting, only: undefined } : setting;
  if (only !== undefined && access.holds?.has(only) !== true) {
    return false;
  }
  const { action, keys } = splitGrant(grant);
  const subject = LISTS.has(access.action) ? access.prefix : access.key;
  return (
    action === access.action && (keys === undefined || (subject !== undefined && matchesKey(keys, subject)))
  );
}

/** The permissions of the server's one account; nothing is refused until they are set. */
export class Permissions {
  readonly #user: string;
  #settings: z.output<typeof permissionsSchema> = { denied: [] };

  /** @param accessKeyId stands for the user's name in refusals */
  constructor(accessKeyId: string) {
    this.#user = `arn:aws:iam::000000000000:user/${accessKeyId}`;
  }

  /** Replaces both lists. @throws InvalidSetting for an action that this server does not know */
  set(settings: PermissionSettings): void {
    this.#settings = readSetting('permissions', permissionsSchema, settings);
  }

  /** Allows everything again. */
  clear(): void {
    this.#settings = { denied: [] };
  }

  /** Both lists as they are. */
  list(): PermissionSettings {
    return this.#settings;
  }

  /** @throws S3Error AccessDenied, in the words of https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html */
  check(access: Access): void {
    const { denied, allowed } = this.#settings;
    const { action, bucket, key } = access;
    const isDenied = denied.some((grant) => covers(grant, access));
    if (!isDenied && (allowed === undefined || allowed.some((grant) => covers(grant, access)))) {
      return;
    }
    const path = key === undefined ? bucket : `${bucket}/${key}`;
    const resource = path === undefined ? '' : ` on resource: "arn:aws:s3:::${path}"`;
    const reason = isDenied
      ? 'with an explicit deny in an identity-based policy'
      : `because no identity-based policy allows the ${action} action`;
    throw new S3Error('AccessDenied', {
      message: `User: ${this.#user} is not authorized to perform: ${action}${resource} ${reason}`,
    });
  }

  /**
   * Checks everything that a request needs.
   * @throws S3Error AccessDenied; NotImplemented for an operation whose needs are not known while anything is restricted
   */
  checkRequest(operation: string, request: S3Request): void {
    const { denied, allowed } = this.#settings;
    if (denied.length === 0 && allowed === undefined) {
      return;
    }
    const actions = requiredActions(operation, request);
    if (actions === undefined) {
      throw new S3Error('NotImplemented', {
        message: `It is not known which permissions ${operation} needs`,
      });
    }
    const { bucket, key, query } = request;
    const holds = conditionsOf(operation, request);
    for (const action of actions) {
      // A listing without a prefix, and HeadBucket, fit no pattern: a condition on what is not there is false.
      this.check({ action, bucket, key, prefix: query.prefix, holds });
    }
  }

  /**
   * The error that a client is to see: who may not list a bucket gets 403 for a key that is not there
   * (https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html), whatever prefixes a policy lets it list.
   */
  concealAbsence(error: unknown, operation: string, { bucket }: S3Request): unknown {
    if (!(error instanceof S3Error) || error.code !== 'NoSuchKey' || !READS.has(operation)) {
      return error;
    }
    try {
      this.check({ action: 's3:ListBucket', bucket, key: undefined });
    } catch (denial) {
      return denial;
    }
    return error;
  }
}
