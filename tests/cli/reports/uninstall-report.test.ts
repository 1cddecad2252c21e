import assert from 'node:assert/strict';
import { test } from 'node:test';
import { whatStays } from '../../../lib/cli/reports/uninstall-report.ts';
import { settingsOf } from '../../support/settings.ts';

test('what stays is named, each with the command that removes it', () => {
  const settings = settingsOf({
    SUBVOLUMES: '/data,home=snapshots:/home/.snapshots/*/snapshot',
    SNAPSHOT_DIR: '/data/.snapshots',
    S3_BUCKET: 'my-backups',
  });
  const text = whatStays(settings, 'host-1', '/etc/btrfs-to-s3.env').join('\n');
  assert.match(text, /aws s3 rm --recursive s3:\/\/my-backups\/host-1\//);
  assert.match(text, /btrfs subvolume delete \/data\/\.snapshots\/data__\*/);
  assert.doesNotMatch(text, /home__/, 'snapshots of others are not ours to remove');
  assert.match(text, /rm -r \/var\/lib\/btrfs-to-s3\n/);
  assert.match(text, /rm \/etc\/btrfs-to-s3\.env/);
});

test('without settings there is still what to say', () => {
  assert.match(whatStays({}, 'host-1', 'x.env').join('\n'), /settings +rm x\.env/);
});
