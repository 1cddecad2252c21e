/** The policies of config/iam/, filled in as config/iam/README.md says, and as the embedded server takes permissions. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { repositoryRoot } from '../../testing/harness/test-directory.ts';
import type { PermissionSettings } from '../../testing/s3-server/auth/permissions.ts';

/** The roles that there is a policy for. */
export const roles = ['backup', 'restore', 'drill', 'verify', 'prune'] as const;
export type Role = (typeof roles)[number];

const oneOrMore = z.union([z.string().transform((text) => [text]), z.array(z.string())]);

/** What our policies are made of; anything else would have to be translated as well, and is refused. */
const policySchema = z.strictObject({
  Version: z.literal('2012-10-17'),
  Statement: z.array(
    z.strictObject({
      Sid: z.string().regex(/^[A-Za-z0-9]+$/),
      Effect: z.literal('Allow'),
      Action: oneOrMore,
      Resource: oneOrMore,
      Condition: z
        .union([
          z.strictObject({ StringLike: z.strictObject({ 's3:prefix': z.string() }) }),
          z.strictObject({ Null: z.strictObject({ 's3:if-none-match': z.literal('false') }) }),
          z.strictObject({ Null: z.strictObject({ 's3:if-match': z.literal('false') }) }),
          z.strictObject({ Bool: z.strictObject({ 's3:ObjectCreationOperation': z.literal('false') }) }),
        ])
        .optional(),
    }),
  ),
});

type Condition = z.output<typeof policySchema>['Statement'][number]['Condition'];
type Grants = NonNullable<PermissionSettings['allowed']>;

/** What a role may do with one bucket and prefix. @throws for a policy that this cannot translate */
export function permissionsOf(role: Role, bucket: string, prefix: string): PermissionSettings {
  const template = readFileSync(join(repositoryRoot, `config/iam/${role}.json`), 'utf8');
  const filled = template.replaceAll('BUCKET', bucket).replaceAll('PREFIX', prefix);
  const { Statement } = policySchema.parse(JSON.parse(filled));
  const allowed = Statement.flatMap(({ Action, Resource, Condition }) =>
    Action.flatMap((action) =>
      Resource.flatMap((resource) => grants(action, keysOf(resource, bucket), Condition)),
    ),
  );
  return { allowed };
}

/** The pattern of keys that a resource is; undefined for the bucket itself. */
function keysOf(resource: string, bucket: string): string | undefined {
  const own = `arn:aws:s3:::${bucket}`;
  if (resource === own) return undefined;
  if (resource.startsWith(`${own}/`)) return resource.slice(own.length + 1);
  throw new Error(`${resource} is not in ${own}`);
}

function grants(action: string, keys: string | undefined, condition: Condition): Grants {
  if (condition && 'StringLike' in condition) {
    if (action !== 's3:ListBucket' || keys !== undefined)
      throw new Error(`s3:prefix says nothing of ${action}`);
    return [`${action} ${condition.StringLike['s3:prefix']}`];
  }
  const grant = keys === undefined ? action : `${action} ${keys}`;
  if (condition === undefined) return [grant];
  if ('Bool' in condition) return [{ grant, only: 'creates no object' }];
  return [{ grant, only: 's3:if-match' in condition.Null ? 'if-match' : 'if-none-match' }];
}
