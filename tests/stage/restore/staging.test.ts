import assert from 'node:assert/strict';
import { existsSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ToolError } from '../../../lib/core/errors.ts';
import { makeStaging } from '../../../lib/stage/restore/staging.ts';
import { btrfs, loopBtrfs } from '../../support/loop-btrfs.ts';
import { tinyFilesystem } from '../../support/temporary-directory.ts';

const mount = await loopBtrfs('staging');
const full = tinyFilesystem('staging', 1024 * 1024, 1);

test('a filesystem with no room for the staging directory is named, and it is not RUN_DIR that has to move', async () => {
  await assert.rejects(makeStaging(full), (error: ToolError) => {
    assert.equal(error.message, `cannot make a staging directory in ${full}: the disk is full`);
    assert.match(error.hint ?? '', /TARGET on another filesystem/);
    return true;
  });
});

/** Makes a subvolume of which no child process can be given the name. */
function makeUnnameable(directory: string): void {
  btrfs('subvolume', 'create', join(directory, 'x'));
  renameSync(join(directory, 'x'), Buffer.concat([Buffer.from(`${directory}/`), Buffer.from([0x62, 0xff])]));
}

test('what is in it is removed with it, whatever it is called', async () => {
  const staging = await makeStaging(mount);
  btrfs('subvolume', 'create', join(staging.path, 'a'));
  makeUnnameable(staging.path);
  await staging.remove();
  assert.equal(existsSync(staging.path), false);
});
