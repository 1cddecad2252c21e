/** recover.sh killed at any moment: the same command goes on, and fetches nothing again that was verified. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { namesIn } from '../end-to-end/world.ts';
import { makeIdentity } from '../support/age-keys.ts';
import { makeRecoverScene } from '../support/recover-scene.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const directory = temporaryDirectory('recover-kills');
const { identity, recipient } = await makeIdentity(directory, 'identity');
const kills = 10;
/** Two parts to a download, and several of these to a chunk. */
const smallPieces = (script: string) => script.replace('64 * 1024 * 1024', '6 * 1024 * 1024');

/** What a staging directory has verified: `KIND/TIME` of backups whose stream was received, and ranges of chunks. */
function verifiedIn(staging: string): {
  readonly received: string | undefined;
  readonly ranges: readonly string[];
} {
  const read = (path: string) => (existsSync(path) ? readFileSync(path, 'utf8') : '');
  const [, key] = read(join(staging, 'received')).split('\n');
  const works = existsSync(staging)
    ? readdirSync(staging).filter((name) => /^(full|incremental)-/.test(name))
    : [];
  const ranges = works.flatMap((work) => {
    const pieces = read(join(staging, work, 'pieces'))
      .split('\n')
      .filter((line) => line !== '');
    const here = new Set(readdirSync(join(staging, work)));
    return pieces.flatMap((line, number) => {
      const [place, offset, bytes] = line.split('\t');
      return here.has(String(number)) ? [`${place} ${offset}-${Number(offset) + Number(bytes) - 1}`] : [];
    });
  });
  return { received: key, ranges };
}

for (const [name, settings, words] of [
  ['plain', {}, []],
  ['zstd and age', { COMPRESS: 'zstd:1', ENCRYPT_TO: recipient }, ['--identity', identity]],
] as const) {
  test(`killed ${kills} times while it restores a chain (${name})`, async (t) => {
    const scene = await makeRecoverScene(t, { ...settings, CHUNK_SIZE: '24MiB' }, (number) =>
      randomBytes(number === 1 ? 30_000_000 : 8_000_000),
    );
    const { bucket, host } = await scene.copy(smallPieces);
    const target = join(scene.place, 'killed');
    const staging = join(scene.place, '.recover-killed');
    // A whole run, to know how long one takes.
    const started = performance.now();
    const whole = await host.recover('restore', 'home', join(scene.place, 'whole'), ...words);
    assert.equal(whole.exitCode, 0, whole.stderr);
    const wholeMs = performance.now() - started;
    bucket.calls();
    let killed = 0;
    for (let step = 1; step <= kills && !existsSync(target); step++) {
      const before = verifiedIn(staging);
      const run = host.start('restore', 'home', target, ...words);
      await Promise.race([run.done, sleep(wholeMs * (0.1 + 0.08 * step))]);
      // It may have ended.
      if (run.child.exitCode === null) process.kill(-(run.child.pid ?? assert.fail()), 'SIGKILL');
      const { exitCode } = await run.done;
      if (exitCode === null) killed++;
      const fetched = bucket
        .calls()
        .filter((call) => call.startsWith('get-object') && call.includes('.bin '));
      const again = before.ranges.filter((range) => fetched.some((call) => call.endsWith(`/${range}`)));
      assert.deepEqual(again, [], `after kill ${step - 1}`);
      if (before.received !== undefined) {
        const position = scene.keys.indexOf(before.received);
        const done = scene.keys.slice(0, position + 1).map((key) => key.slice(-21, -5));
        assert.ok(
          !fetched.some((call) => done.some((time) => call.includes(`chunk-${time}`))),
          'received already',
        );
      }
    }
    assert.ok(killed >= 3, `${killed} kills`);
    const last = await host.recover('restore', 'home', target, ...words);
    if (!/is there already/.test(last.stderr)) assert.equal(last.exitCode, 0, last.stderr);
    assert.deepEqual(await treeDigest(target), scene.trees[2]);
    assert.deepEqual(await namesIn(scene.place), ['killed', 'whole']);
  });
}
