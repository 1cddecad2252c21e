/** An encrypted, compressed upload that is killed again and again: what the journal has is not sent again, and all is well in the end. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { replayJournal } from '../../lib/core/plan/resume.ts';
import { readJournal } from '../../lib/edge/files/journal.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { makeIdentity } from '../support/age-keys.ts';
import { processesAbout, startScript, until, whileRunning } from './running-script.ts';
import { createWorld, runProcess, type World } from './world.ts';

const mib = 2 ** 20;

/** Parts that the journal says are in the bucket, as `chunk/part`. */
async function journalled(world: World): Promise<readonly string[]> {
  const journal = await readJournal(join(world.runDirectory, 'data/upload.jsonl'));
  return [...replayJournal(journal).chunks].flatMap(([index, { parts }]) =>
    [...parts.keys()].map((number) => `${index}/${number}`),
  );
}

/** Parts that were sent since a number of requests. */
function sent(world: World, since: number): readonly string[] {
  return world.server.requests
    .slice(since)
    .filter(({ operation }) => operation === 'UploadPart')
    .map(({ key, partNumber }) => `${Number(/-(\d{5})\.bin$/.exec(key ?? '')?.[1])}/${partNumber}`);
}

test('ten kills of an upload through zstd and age', async (t) => {
  const world = await createWorld(t, {
    CHUNK_SIZE: '20MiB',
    PART_SIZE: '5MiB',
    CONCURRENCY: '2',
    COMPRESS: 'zstd',
    COMPRESSED_SEND: 'false',
  });
  const { identity, recipient } = await makeIdentity(world.directory, 'identity');
  const mixed = Array.from({ length: 20 }, () => [
    randomBytes(2 * mib),
    Buffer.alloc(2 * mib),
    randomBytes(mib),
  ]);
  await writeFile(join(world.data, 'mixed'), Buffer.concat(mixed.flat()));
  await writeFile(join(world.data, 'zeros'), Buffer.alloc(20 * mib));
  const config = await world.settingsFile({ ENCRYPT_TO: recipient, DECRYPT_WITH: identity });
  const run = async (script: string, ...args: readonly string[]) => {
    const result = await runProcess('scripts/tsx.sh', [`scripts/${script}`, '--config', config, ...args]);
    assert.equal(result.exitCode, 0, `${script}: ${result.stderr}`);
    return result;
  };
  await run('snapshot.ts');
  let kept: readonly string[] = [];
  for (let kills = 0; kills < 10; kills++) {
    const since = world.server.requests.length;
    const running = startScript(world, config, 'send-chunk-upload.ts');
    // At various moments: when something was just stored, and while something is under way.
    if (kills % 2 === 0) await whileRunning(running, 'a part is sent', () => sent(world, since).length > 0);
    else {
      const isMore = async () => (await journalled(world)).length > kept.length;
      await whileRunning(running, 'a part is stored', isMore);
    }
    running.child.kill('SIGKILL');
    await running.ended;
    const again = sent(world, since).filter((part) => kept.includes(part));
    assert.deepEqual(again, [], `after ${kills} kills`);
    kept = await journalled(world);
    await until('no child lives on', async () => (await processesAbout(recipient)).length === 0);
  }
  assert.ok(kept.length >= 5, kept.join());
  const since = world.server.requests.length;
  await run('send-chunk-upload.ts');
  assert.deepEqual(
    sent(world, since).filter((part) => kept.includes(part)),
    [],
  );
  await run('manifest.ts');
  assert.match((await run('verify.ts', '--deep')).stdout, /^sound: 1 manifest, .*\(every byte\)/);
  const target = join(world.mount, 'restored');
  await run('restore.ts', '--subvolume', 'data', '--target', target);
  assert.deepEqual(await treeDigest(target), await treeDigest(world.data));
});
