import assert from 'node:assert/strict';
import { chownSync, existsSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ToolError } from '../../../../lib/core/errors.ts';
import type { RestoreFile } from '../../../../lib/core/format/restore-file.ts';
import { isStagingName } from '../../../../lib/core/format/staging-name.ts';
import { startStreamChild } from '../../../../lib/edge/process/child.ts';
import { lockStaging, openStaging, stagingPath } from '../../../../lib/stage/restore/staging/staging.ts';
import { btrfs, loopBtrfs } from '../../../support/loop-btrfs.ts';
import { tinyFilesystem } from '../../../support/temporary-directory.ts';

const mount = await loopBtrfs('staging');
const full = tinyFilesystem('staging', 1024 * 1024, 1);
const record: RestoreFile = {
  version: 1,
  target: '/mnt/restored',
  subvolume: 'data',
  bucket: 'backups/host',
  server: 'AWS eu-central-1',
  started_at: '2026-11-24T02:00:00.000Z',
  chain: [{ manifest_key: 'host/subvol/data/full/manifest-20261124T020000Z.json', bytes_digest: 'a' }],
  received: null,
  kept_parts: null,
  continued: null,
  target_uuid: null,
};

test('a filesystem with no room for the staging directory is named, and it is not RUN_DIR that has to move', async () => {
  await assert.rejects(openStaging(join(full, 'restored')), (error: ToolError) => {
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
  const staging = await openStaging(join(mount, 'named'));
  btrfs('subvolume', 'create', join(staging.path, 'a'));
  makeUnnameable(staging.path);
  await staging.writeRecord(record);
  writeFileSync(join(staging.path, 'restore.json.0123abcd.tmp'), 'torn by a power cut');
  await staging.remove();
  assert.equal(existsSync(staging.path), false);
  await staging.close();
});

test('the same TARGET has the same directory, whatever the length of its name', async () => {
  const long = join(mount, 'l'.repeat(255));
  assert.ok(isStagingName(stagingPath(long).slice(mount.length + 1)));
  assert.notEqual(stagingPath(long), stagingPath(join(mount, 'm')));
});

test('a record is read back as it was written, or not at all', async () => {
  const staging = await openStaging(join(mount, 'recorded'));
  assert.equal(await staging.readRecord(), undefined);
  await staging.writeRecord(record);
  assert.deepEqual(await staging.readRecord(), record);
  const path = join(staging.path, 'restore.json');
  const text = JSON.stringify({ ...record, kept_parts: '/etc', check: '0' });
  writeFileSync(path, text);
  assert.equal(await staging.readRecord(), undefined, 'it says what was never written');
  await staging.remove();
  await staging.close();
});

test('it stays locked as long as a child lives that has inherited the lock', async () => {
  const staging = await openStaging(join(mount, 'inherited'));
  const child = startStreamChild('the test child', 'sleep', ['60'], ['pipe', 'ignore'], staging.lock.fd);
  await staging.close();
  assert.equal(await lockStaging(staging.path), undefined);
  await child.stop();
  const again = await openStaging(join(mount, 'inherited'));
  assert.equal(again.path, staging.path);
  await again.remove();
  await again.close();
  assert.equal(await lockStaging(staging.path), 'gone');
});

test('a directory of another user, or a link, is not used', async () => {
  const target = join(mount, 'theirs');
  mkdirSync(stagingPath(target));
  chownSync(stagingPath(target), 1, 1);
  await assert.rejects(openStaging(target), /belongs to another user/);
  const linked = join(mount, 'linked');
  symlinkSync('/', stagingPath(linked));
  await assert.rejects(openStaging(linked), /a part of the path is not a directory|symbolic/);
});
