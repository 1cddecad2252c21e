/** What make init leaves where it cannot make everything: nothing, so that it can be run again. */
import assert from 'node:assert/strict';
import { readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Answers } from '../../../lib/cli/init/answers.ts';
import { makeAll } from '../../../lib/cli/init/apply.ts';
import type { ToolError } from '../../../lib/core/errors.ts';
import { temporaryDirectory, tinyFilesystem } from '../../support/temporary-directory.ts';

const directory = temporaryDirectory('init-apply');
const tiny = tinyFilesystem('init-apply', 64 * 1024);
const config = join(tiny, 'backup.env');
const answers = () => {
  const made = new Answers([], undefined);
  made.keep('S3_BUCKET', 'backups');
  return made;
};
const nothing = { snapshotDirectory: undefined, identityFile: undefined, bucket: undefined };

test('on a full disk no settings and no key are left, and what to do is said; with room the same works', async () => {
  const filler = join(tiny, 'filler');
  // As many blocks as there are: what is empty can still be made.
  assert.throws(() => writeFileSync(filler, Buffer.alloc(128 * 1024)), { code: 'ENOSPC' });
  const identityFile = join(tiny, 'backup.key');
  const snapshotDirectory = join(directory, 'snapshots');
  for (const [toMake, path, hint] of [
    [{ ...nothing, config, snapshotDirectory }, config, /^make room there, or .* CONFIG=/],
    [{ ...nothing, config, identityFile }, identityFile, /another directory for the key$/],
  ] as const) {
    await assert.rejects(makeAll(answers(), toMake), (error: ToolError) => {
      assert.equal(error.message, `cannot write ${path}: the disk is full`);
      assert.match(error.hint ?? '', hint);
      return true;
    });
    assert.deepEqual([readdirSync(tiny), readdirSync(directory)], [['filler'], []]);
  }
  rmSync(filler);
  const kept = answers();
  await makeAll(kept, { ...nothing, config, identityFile });
  assert.match(kept.values.get('ENCRYPT_TO') ?? '', /^age1/);
  assert.deepEqual(
    [config, identityFile].map((path) => statSync(path).mode & 0o777),
    [0o600, 0o600],
  );
  await assert.rejects(makeAll(answers(), { ...nothing, config }), /backup\.env exists already/);
  await assert.rejects(
    makeAll(answers(), { ...nothing, config, identityFile }),
    /backup\.key exists already/,
  );
  assert.deepEqual(readdirSync(tiny).sort(), ['backup.env', 'backup.key'], 'what was there stays');
});
