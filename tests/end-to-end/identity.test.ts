/** Encrypted backups and the identity that opens them, as the scripts see it: a wrong one is found before anything is thawed. */
import assert from 'node:assert/strict';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { planExtract } from '../../lib/stage/restore/extract/extract.ts';
import { planScratch } from '../../lib/stage/restore/scratch/scratch-plan.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { makeIdentity } from '../support/age-keys.ts';
import { runScript } from '../support/script-within.ts';
import { archivedWorld, assertUnderWay, backUp, requestedKeys, untilTold } from './archived-world.ts';
import { refusal } from './small-world.ts';
import { hostIn } from './within-process.ts';
import { errorLines, namesIn, type ScriptResult } from './world.ts';

test('restore and thaw with an identity, without one, and with a wrong one', async (t) => {
  const world = await archivedWorld(t, { incrementals: 0, thawDelayMs: untilTold });
  const { identity, recipient } = await makeIdentity(world.directory, 'identity');
  const { identity: stranger } = await makeIdentity(world.directory, 'stranger');
  await backUp(world, { ENCRYPT_TO: recipient, COMPRESS: 'zstd' });
  const target = join(world.mount, 'restored');
  const run = async (
    script: string,
    identityFile: string | undefined,
    ...args: readonly string[]
  ): Promise<ScriptResult> => {
    const config = await world.settingsFile({ DECRYPT_WITH: identityFile });
    return runScript(script, ['--config', config, ...args]);
  };
  const restore = ['--subvolume', 'data', '--target', target];

  for (const [what, file, says] of [
    [
      'none',
      undefined,
      /is encrypted, and DECRYPT_WITH is not set; name the file with its key: SET="DECRYPT_WITH=/,
    ],
    ['that of another', stranger, /stranger of DECRYPT_WITH does not open the backup of data/],
    ['one that is missing', '/nonexistent/key', /key of DECRYPT_WITH does not exist/],
    [
      'one for all to read',
      join(world.directory, 'open'),
      /can be read by others \(mode 644\); run: chmod 600/,
    ],
    ['one that is none', join(world.directory, 'junk'), /junk of DECRYPT_WITH cannot be used: reading/],
  ] as const) {
    await t.test(`a restore with ${what}: exit 2 in one line, and no thaw`, async () => {
      await writeFile(join(world.directory, 'open'), 'AGE-SECRET-KEY-1\n');
      await chmod(join(world.directory, 'open'), 0o644);
      await writeFile(join(world.directory, 'junk'), 'junk\n', { mode: 0o600 });
      const result = await run('restore.ts', file, ...restore, '--no-wait');
      assert.equal(result.exitCode, 2, result.stderr);
      assert.equal(errorLines(result).length, 1, result.stderr);
      assert.match(errorLines(result)[0] ?? '', says);
      assert.deepEqual(requestedKeys(world), []);
      assert.equal((await namesIn(world.mount)).includes('restored'), false);
    });
  }
  await t.test('a thaw with a wrong one is not begun; without one it is', async () => {
    const wrong = await run('thaw.ts', stranger, '--subvolume', 'data');
    assert.equal(wrong.exitCode, 2, wrong.stderr);
    assert.deepEqual(requestedKeys(world), []);
    const dryRun = await run('thaw.ts', undefined, '--subvolume', 'data', '--dry-run');
    assert.equal(dryRun.exitCode, 5, dryRun.stderr);
    assert.deepEqual(requestedKeys(world), []);
  });
  await t.test(
    'neither extract nor drill, nor a restore of all, thaws anything with a wrong one or none',
    async () => {
      const host = await hostIn(world, { settings: { DECRYPT_WITH: stranger } });
      const blind = await hostIn(world);
      const request = {
        subvolume: 'data',
        selection: {},
        thaw: {},
        paths: '/file',
        to: join(world.directory, 'to'),
      };
      for (const { context } of [host, blind]) {
        for (const look of [planExtract, planScratch]) {
          assert.equal((await refusal(look(context, request))).kind, 'usage');
        }
      }
      const all = await run('restore.ts', stranger, '--all', '--target', `${target}-all`, '--no-wait');
      assert.equal(all.exitCode, 2, all.stderr);
      const drill = await run('drill.ts', undefined, '--subvolume', 'data', '--no-wait');
      assert.equal(drill.exitCode, 2, drill.stderr);
      assert.deepEqual(requestedKeys(world), []);
    },
  );
  await t.test('the right one restores', async () => {
    assertUnderWay(await run('restore.ts', identity, ...restore, '--no-wait'), /chunks? of \d+ /);
    await world.server.thaws.finish();
    const result = await run('restore.ts', identity, ...restore);
    assert.equal(result.exitCode, 0, result.stderr);
    assert.deepEqual(await treeDigest(target), await treeDigest(world.data));
  });
  await t.test('verify says what it could not look into', async () => {
    const blind = await run('verify.ts', undefined, '--deep');
    assert.equal(blind.exitCode, 0, blind.stderr);
    assert.match(
      blind.stdout,
      /every byte; of 1 encrypted backup the stored bytes only, as DECRYPT_WITH is not set/,
    );
    const seeing = await run('verify.ts', identity, '--deep');
    assert.equal(seeing.exitCode, 0, seeing.stderr);
    assert.match(seeing.stdout, /\(every byte\)/);
  });
});
