/** What tests of secrets share: marked secrets, and a look at every place where none may be. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HeadObjectCommand } from '@aws-sdk/client-s3';
import type { RecordedChildren } from './recorded-children.ts';
import { allKeys, readBytes, secret, type World } from './world.ts';

/** Marked secrets beside that of the world. */
export const token = 'IQoJb3JpZ2luX2Vj/session+token/of-a-test==';
export const mistyped = 'wJalrXUtnFEMI/K7MDENG+mistyped';

/** A secret in the forms in which it could be met. */
function formsOf(value: string): readonly string[] {
  const bytes = Buffer.from(value);
  return [
    value,
    encodeURIComponent(value),
    value.replaceAll('/', '\\/'),
    bytes.toString('base64').replace(/=+$/, ''),
    bytes.toString('base64url'),
    bytes.toString('hex'),
  ];
}

const forms = [secret, token, mistyped, mistyped.replaceAll(/\W/g, ''), 'pass-of-the-address'].flatMap(
  formsOf,
);

/** Fails when a text holds a secret, or what a request is signed with. */
export function assertClean(text: string, what: string): void {
  const found = forms.filter((form) => text.includes(form));
  assert.deepEqual(found, [], `a secret in ${what}: ${text.slice(0, 2000)}`);
  assert.doesNotMatch(text, /AWS4-HMAC-SHA256 Credential|Signature\W{1,5}[0-9a-f]{64}/i, what);
}

/** Looks at everything that stays: run files, names and content and metadata of objects, and what children saw. */
export async function assertNothingStays(world: World, children: RecordedChildren): Promise<void> {
  const files = readdirSync(world.runDirectory, { recursive: true, withFileTypes: true });
  for (const file of files.filter((entry) => entry.isFile())) {
    const path = join(file.parentPath, file.name);
    assertClean(`${path}\n${await readFile(path, 'latin1')}`, path);
  }
  const keys = await allKeys(world);
  for (const key of keys) {
    const head = await world.client.send(new HeadObjectCommand({ Bucket: 'backups', Key: key }));
    const { $metadata: _, ...described } = head;
    assertClean(
      `${key}\n${JSON.stringify(described)}\n${(await readBytes(world, key)).toString('latin1')}`,
      key,
    );
  }
  assert.ok(files.length > 0 && keys.length > 3, 'there is something to look at');
  assertClean(await children.records(), 'a child');
}
