import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { describeError } from '../../../lib/core/errors.ts';
import { takeLock } from '../../../lib/edge/files/lock.ts';
import { missingPrivilege } from '../../../lib/edge/process/privileges.ts';
import { errorLines, runProcess } from '../../end-to-end/world.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const directory = temporaryDirectory('privileges');
const status = (capabilities: string) => `Name:\tnode\nCapPrm:\t${capabilities}\nCapEff:\t${capabilities}\n`;

for (const [who, capabilities, uid, says] of [
  ['root', '000001ffffffffff', 0, undefined],
  ['a user with the capability', '0000000000200000', 1000, undefined],
  ['root, where nothing tells', undefined, 0, undefined],
  ['a user', '0000000000000000', 1000, /and this is user 1000; run as root/],
  ['a user, where nothing tells', undefined, 1000, /run as root/],
  [
    'root of a container',
    '00000000a80425fb',
    0,
    /lacks CAP_SYS_ADMIN, as in a container; .*--cap-add SYS_ADMIN/,
  ],
] as const) {
  test(`${who} ${says ? 'is refused' : 'may take and send snapshots'}`, () => {
    const problem = missingPrivilege(capabilities === undefined ? '' : status(capabilities), uid);
    if (says) assert.match(describeError(problem), says);
    else assert.equal(problem, undefined);
    assert.equal(problem?.kind, says && 'usage');
  });
}

test('what needs root says so before it looks at settings or the bucket, and list needs none', async () => {
  const config = join(directory, 'none.env');
  const run = (script: string) =>
    runProcess('setpriv', [
      '--bounding-set=-sys_admin',
      'scripts/tsx.sh',
      `scripts/${script}`,
      '--config',
      config,
    ]);
  for (const script of ['backup', 'snapshot', 'send-chunk-upload', 'manifest', 'restore']) {
    const outcome = await run(`${script}.ts`);
    assert.equal(outcome.exitCode, 2, outcome.stderr);
    assert.match(errorLines(outcome).join('\n'), /^btrfs lets only root take, send and receive snapshots/);
  }
  assert.match(errorLines(await run('list.ts')).join('\n'), /none\.env does not exist/);
});

test('what is denied to a user is a matter of who runs it, before it is one of the path', async () => {
  const runDirectory = join(directory, 'run');
  mkdirSync(runDirectory, { mode: 0o700 });
  writeFileSync(join(directory, 'file'), '');
  chmodSync(directory, 0o755);
  process.seteuid?.(65_534);
  const error = await takeLock(runDirectory)
    .finally(() => process.seteuid?.(0))
    .catch(describeError);
  assert.equal(
    error,
    `cannot use RUN_DIR ${runDirectory}: permission was denied; run as root, or set RUN_DIR to a directory that can be written`,
  );
  assert.match(
    await takeLock(join(directory, 'file')).then(() => '', describeError),
    /; set RUN_DIR to a directory that can be written$/,
  );
});
