import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { shell } from '../../testing/harness/processes/shell.ts';
import { runScript } from '../support/script-within.ts';
import { unmount } from '../support/unmount-everywhere.ts';
import { allKeys, createWorld, errorLines, namesIn, runFilesOf, runProcess, type World } from './world.ts';

/** Backs up with a settings file; where variables of make are given, by way of make, which prints the exit code of the script. */
async function backUp(config: string, variables: readonly string[] = []) {
  if (variables.length === 0) return runScript('backup.ts', ['--config', config]);
  const made = await runProcess('make', ['backup', `CONFIG=${config}`, ...variables]);
  const [, code] = /Error (\d+)\b/.exec(made.stderr) ?? assert.fail(made.stderr);
  return { ...made, exitCode: Number(code) };
}

test('bad settings and usage: one clear line, the documented exit code, nothing left behind', async (t) => {
  const world = await createWorld(t);
  await writeFile(join(world.data, 'file'), 'content');
  const full = join(world.directory, 'full');
  await mkdir(full);
  await shell`mount -t tmpfs -o size=64k tmpfs ${full}`;
  world.cleanUp(() => unmount(full));
  await shell({ nothrow: true })`head -c 1M /dev/zero > ${join(full, 'fill')}`;
  const before = await everything(world);

  const cases: readonly {
    readonly name: string;
    readonly changes?: Readonly<Record<string, string | undefined>>;
    readonly variables?: readonly string[];
    readonly code: number;
    readonly says: RegExp;
  }[] = [
    {
      name: 'no credentials',
      changes: { AWS_ACCESS_KEY_ID: undefined, AWS_SECRET_ACCESS_KEY: undefined },
      code: 2,
      says: /no AWS credentials were found .*; set AWS_ACCESS_KEY_ID/,
    },
    {
      name: 'a wrong bucket',
      changes: { S3_BUCKET: 'nowhere' },
      code: 1,
      says: /the bucket does not exist \(bucket nowhere/,
    },
    {
      name: 'a wrong secret',
      changes: { AWS_SECRET_ACCESS_KEY: 'wrong' },
      code: 1,
      says: /check AWS_SECRET_ACCESS_KEY/,
    },
    {
      name: 'a wrong access key',
      changes: { AWS_ACCESS_KEY_ID: 'wrong' },
      code: 1,
      says: /check AWS_ACCESS_KEY_ID/,
    },
    {
      name: 'a server that is not there',
      changes: { AWS_ENDPOINT_URL_S3: 'http://127.0.0.1:1', RETRY_FOR: '1s' },
      code: 1,
      says: /refused/,
    },
    {
      name: 'a full RUN_DIR',
      changes: { RUN_DIR: full },
      code: 1,
      says: /the disk is full; make room, or set RUN_DIR/,
    },
    {
      name: 'an unknown key',
      changes: { CHUNKSIZE: '8MiB' },
      code: 2,
      says: /:\d+: CHUNKSIZE is not a setting; did you mean CHUNK_SIZE/,
    },
    {
      name: 'a key that is missing',
      changes: { SNAPSHOT_DIR: undefined },
      code: 2,
      says: /SNAPSHOT_DIR is not set/,
    },
    {
      name: 'a recipient that is none',
      changes: { ENCRYPT_TO: 'me@example.net' },
      code: 2,
      says: /ENCRYPT_TO item 1 is not a public key: age1…/,
    },
    {
      name: 'a recipient with a mistyped letter',
      changes: { ENCRYPT_TO: 'age1lvyvwawkr0mcnnnncaghunadrqkmuf9e6507x9y920xxpp866cnql7dp2a' },
      code: 2,
      says: /ENCRYPT_TO: age does not encrypt to age1lvyv\w+: malformed recipient/,
    },
    {
      name: 'recipients in a file that is not there',
      changes: { ENCRYPT_TO: '/nonexistent/recipients' },
      code: 2,
      says: /cannot read the recipients file \/nonexistent\/recipients of ENCRYPT_TO: it does not exist/,
    },
    {
      name: 'a key to sign with that is not there',
      changes: { SIGN_WITH: '/nonexistent/key' },
      code: 2,
      says: /SIGN_WITH: ssh-keygen cannot sign with \/nonexistent\/key: /,
    },
    {
      name: 'signers, and nothing to sign with',
      changes: { VERIFY_SIGNERS: '/nonexistent/signers' },
      code: 2,
      says: /VERIFY_SIGNERS is set, and SIGN_WITH is not: a restore would refuse what is backed up here/,
    },
    {
      name: 'a secret key as the recipient',
      changes: { ENCRYPT_TO: 'AGE-SECRET-KEY-1MARKED' },
      code: 2,
      says: /ENCRYPT_TO item 1 is a secret key; (?!.*MARKED)/,
    },
    {
      name: 'SUBVOLUME= that selects nothing',
      variables: ['SUBVOLUME=nope'],
      code: 2,
      says: /selects nothing: .*choose from: data/,
    },
    { name: 'SUBVOLUME= that is empty', variables: ['SUBVOLUME='], code: 2, says: /selects nothing/ },
    { name: 'a kind that is none', variables: ['KIND=partial'], code: 2, says: /KIND=partial is not a kind/ },
    {
      name: 'an incremental without a full',
      variables: ['KIND=incremental'],
      code: 1,
      says: /no backup in the bucket yet/,
    },
    {
      name: 'a path that is no subvolume',
      changes: { SUBVOLUMES: 'etc=/etc' },
      code: 1,
      says: /\/etc is not a Btrfs subvolume/,
    },
    {
      name: 'a SNAPSHOT_DIR elsewhere',
      changes: { SNAPSHOT_DIR: world.directory },
      code: 1,
      says: /is not on the filesystem of/,
    },
    {
      name: 'a SNAPSHOT_DIR that is missing',
      changes: { SNAPSHOT_DIR: `${world.mount}/no` },
      code: 1,
      says: /does not exist; make it with/,
    },
    {
      name: 'a SNAPSHOT_DIR that is a file',
      changes: { SNAPSHOT_DIR: join(world.data, 'file') },
      code: 1,
      says: /cannot look into \S+file: a part of the path is not a directory/,
    },
  ];
  for (const { name, changes, variables, code, says } of cases) {
    await t.test(`${name}: exit ${code}`, async () => {
      const result = await backUp(await world.settingsFile(changes), variables);
      assert.equal(result.exitCode, code, result.stderr);
      const lines = errorLines(result);
      assert.equal(lines.length, 1, result.stderr);
      assert.match(lines[0] ?? '', says);
      assert.equal(result.stdout, '');
      assert.deepEqual(await everything(world), before);
    });
  }

  await t.test('all problems of a settings file at once', async () => {
    const config = await world.settingsFile({
      CHUNK_SIZE: '1MiB',
      CONCURRENCY: '0',
      S3_BUKET: 'x',
      LOG_LEVEL: 'loud',
    });
    const lines = errorLines(await backUp(config));
    assert.equal(lines.length, 4);
    assert.ok(lines.every((line) => line.startsWith(`${config}:`)));
  });
});

test('restore refuses what it cannot do, before it does anything', async (t) => {
  const world = await createWorld(t);
  await writeFile(join(world.data, 'file'), 'content');
  await world.backup();
  const before = await namesIn(world.mount);
  const target = join(world.mount, 'target');
  const cases: readonly (readonly [name: string, args: readonly string[], says: RegExp])[] = [
    ['no TARGET', ['--subvolume', 'data'], /TARGET is not given/],
    ['no SUBVOLUME', ['--target', target], /SUBVOLUME is not given/],
    ['a TARGET that exists', ['--subvolume', 'data', '--target', world.data], /exists already; name a path/],
    [
      'a TARGET that is the filesystem',
      ['--subvolume', 'data', '--target', world.mount],
      /mount exists already; name a path below it that does not exist yet, such as TARGET=\S+mount\/restored$/m,
    ],
    ['a TARGET that is relative', ['--subvolume', 'data', '--target', 'here'], /not a plain absolute path/],
    [
      'a TARGET that is not on Btrfs',
      ['--subvolume', 'data', '--target', join(world.directory, 'x')],
      /not Btrfs/,
    ],
    [
      'a TARGET without a directory',
      ['--subvolume', 'data', '--target', `${target}/a/b`],
      /does not exist; make it/,
    ],
    ['a subvolume without backups', ['--subvolume', 'nope', '--target', target], /there are: data/],
    [
      'AT before all backups',
      ['--subvolume', 'data', '--target', target, '--at', '2020-01-01'],
      /is as old as AT=2020-01-01; the oldest is AT=2/,
    ],
    [
      'AT that is no time',
      ['--subvolume', 'data', '--target', target, '--at', 'yesterday'],
      /AT="yesterday" is not a time/,
    ],
    [
      'MANIFEST of nothing',
      ['--subvolume', 'data', '--target', target, '--manifest', 'x'],
      /not the key of a manifest|not a manifest/,
    ],
    [
      'AT and MANIFEST',
      ['--subvolume', 'data', '--target', target, '--at', '2026-01-01', '--manifest', 'x'],
      /both choose/,
    ],
    ['an unknown flag', ['--taget', target], /'--taget'/],
  ];
  for (const [name, args, says] of cases) {
    await t.test(`${name}: exit 2`, async () => {
      const result = await world.run('restore.ts', ...args);
      assert.equal(result.exitCode, 2, result.stderr);
      assert.equal(errorLines(result).length, 1, result.stderr);
      assert.match(errorLines(result)[0] ?? '', says);
      assert.deepEqual(await namesIn(world.mount), before);
    });
  }
});

/** What must be the same after a refusal: snapshots, run files but for the lock, and the bucket. */
async function everything(world: World) {
  return {
    snapshots: await namesIn(world.snapshots),
    mount: await namesIn(world.mount),
    runFiles: await runFilesOf(world),
    keys: await allKeys(world),
  };
}
