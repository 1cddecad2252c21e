/** A host that wakes up: the network is there some seconds later than the timer. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { startS3Server } from '../../testing/s3-server/server.ts';
import { startScript, whileRunning } from './running-script.ts';
import { smallWorld, write } from './small-world.ts';
import { errorLines, secret } from './world.ts';

test('a backup waits for a server that does not answer yet, and says so once; list gives up sooner', async (t) => {
  const world = await smallWorld(t);
  await write(world, 'a');
  const { port } = world.server;
  await world.server.stop();

  const list = await world.run('list.ts', '--set', 'RETRY_FOR=2s');
  assert.equal(list.exitCode, 1);
  assert.match(list.stderr, /cannot list .*: .*ECONNREFUSED.*; trying again for up to 2s/);
  assert.deepEqual(list.stderr.match(/trying again/g)?.length, 1, list.stderr);
  assert.match(
    errorLines(list).join(),
    /^cannot list .*: the connection was refused .*; check AWS_ENDPOINT_URL_S3/,
  );

  const backup = startScript(world, await world.settingsFile(), 'backup.ts');
  await whileRunning(backup, 'the wait', () => backup.said().includes('up to 30m 00s'));
  const late = startScript(world, await world.settingsFile(), 'list.ts');
  await whileRunning(late, 'the wait', () => late.said().includes('up to 1m 00s'));
  const account = { accessKeyId: 'end-to-end', secretAccessKey: secret };
  const server = await startS3Server({ directory: join(world.directory, 's3'), port, ...account });
  world.cleanUp(() => server.stop());
  for (const { exitCode, stderr } of [await backup.ended, await late.ended]) {
    assert.equal(exitCode, 0, stderr);
    assert.equal(stderr.match(/trying again/g)?.length, 1, stderr);
  }
});
