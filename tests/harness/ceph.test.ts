import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { cephConfiguration, cephPlaces } from '../../testing/harness/ceph/configuration.ts';
import { startCeph } from '../../testing/harness/ceph/start-ceph.ts';
import { startDaemon } from '../../testing/harness/processes/daemon.ts';
import { processesWithMark } from '../../testing/harness/processes/marked-processes.ts';
import { testDirectory } from '../../testing/harness/test-directory.ts';
import { runNode } from '../support/run-program.ts';

const environment = { PATH: process.env.PATH ?? '' };

async function withScratch(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(testDirectory(), 'daemon-'));
  try {
    await work(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

test('every path that ceph.conf names is in the folder of the cluster, and every address is loopback', () => {
  const text = cephConfiguration(cephPlaces('/scratch'), {
    clusterId: 'id',
    monitorPort: 4001,
    gatewayPort: 4002,
  });
  const paths = [...text.matchAll(/= (\/\S+)$/gm)].map((match) => match[1] ?? '');
  assert.ok(paths.length >= 8);
  for (const path of paths) assert.ok(path.startsWith('/scratch/'), path);
  const addresses = [...text.matchAll(/\d+\.\d+\.\d+\.\d+/g)].map(([address]) => address);
  assert.deepEqual(new Set(addresses), new Set(['127.0.0.1', '127.0.0.0']));
});

test('where Ceph is missing, one line says how to get it', async () => {
  await assert.rejects(
    startCeph({ directory: '/nonexistent', bucket: 'bucket', environment: { PATH: '/nonexistent' } }),
    /^Error: Ceph is not installed \(no ceph, ceph-mon.*setup.sh --ceph.*apt-get install[^\n]+$/,
  );
});

test('a daemon that dies says how, with the end of its log; one that is killed is gone', async () => {
  await withScratch(async (directory) => {
    const log = join(directory, 'log');
    const shared = { environment, log, outlive: false };
    const dying = await startDaemon({ command: 'sh', args: ['-c', 'echo no disk >&2; exit 3'], ...shared });
    assert.match(await dying.ended, /^sh ended \(exit code 3\); the end of .*log:\nno disk$/);
    const lasting = await startDaemon({ command: 'sleep', args: ['60'], ...shared });
    await lasting.kill();
    assert.match(await lasting.ended, /^sleep ended \(SIGKILL\)/);
    await lasting.kill();
  });
});

test('a daemon ends with the process that started it, unless it is to outlive it', async () => {
  await withScratch(async (directory) => {
    const module = join(import.meta.dirname, '../../testing/harness/processes/daemon.ts');
    const mark = { TEST_MARK: directory };
    const program = `import { startDaemon } from '${module}';
      for (const outlive of [false, true]) await startDaemon({ command: 'sleep', args: [outlive ? '61' : '60'],
        environment: ${JSON.stringify({ ...environment, ...mark })}, log: '${directory}/log', outlive });
      process.kill(process.pid, 'SIGKILL');`;
    const parent = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', program], {
      env: environment,
      stdio: 'ignore',
    });
    await once(parent, 'exit');
    let left = await processesWithMark(`TEST_MARK=${directory}`);
    while (left.length > 1) left = await processesWithMark(`TEST_MARK=${directory}`);
    assert.equal(left.length, 1);
    for (const pid of left) process.kill(pid, 'SIGKILL');
  });
});

test('a command finds a server in its environment, and its exit code comes back', async () => {
  const script = 'testing/tools/with-s3-server.ts';
  const command = 'test -z "$S3_LACKS" && test "$S3_SERVER $AWS_REGION" = "env us-east-1" && exit 9';
  const { exitCode, stderr } = await runNode([script, 'local', '--', 'bash', '-c', command]);
  assert.equal(exitCode, 9, stderr);
  const wrong = await runNode([script, 'cloud', '--', 'true']);
  assert.deepEqual([wrong.exitCode, wrong.stdout], [2, '']);
  assert.match(wrong.stderr, /^with-s3-server: expected ceph or local/);
});
