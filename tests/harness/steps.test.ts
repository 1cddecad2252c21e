import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { which } from 'zx';
import { stepNames } from '../../testing/harness/runner/run-all.ts';
import { repositoryRoot } from '../../testing/harness/test-directory.ts';
import { runProcess, type ScriptResult } from '../end-to-end/world.ts';
import { repositoryFiles } from '../support/repository-files.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const directory = temporaryDirectory('steps');
const config = join(directory, 'small.env');
await writeFile(config, `HARNESS_RUN_DIR=${join(directory, 'run')}\nIMAGE_SIZE=256MiB\n`);

function runStepScript(name: string, args: readonly string[], environment = {}): Promise<ScriptResult> {
  return runProcess('node', ['launcher/start.cjs', `testing/scripts/${name}.ts`, ...args], environment);
}

test('the steps are those that the harness is said to have', () => {
  const expected =
    'setup-btrfs seed-data mutate-data run-full run-incremental run-interrupt run-restore verify-manifest verify-s3 ' +
    'verify-retention verify-restore teardown-btrfs cleanup-s3-prefix';
  assert.deepEqual([...stepNames].sort(), expected.split(' ').sort());
  const scripts = repositoryFiles().filter((path) => path.startsWith('testing/scripts/'));
  for (const name of [...stepNames, 'run-all'])
    assert.ok(scripts.includes(`testing/scripts/${name}.ts`), name);
});

for (const name of [...stepNames, 'run-all']) {
  test(`${name} explains itself, and knows what it does not know`, async () => {
    const [help, unknown] = await Promise.all([
      runStepScript(name, ['--help']),
      runStepScript(name, ['--no-such-option']),
    ]);
    assert.equal(help.exitCode, 0);
    assert.match(
      help.stdout,
      new RegExp(`^Usage: node --import tsx testing/scripts/${name}\\.ts \\[options\\]\n\n[A-Z]`),
    );
    assert.match(help.stdout, /--config FILE[\s\S]*Exit codes: 0 done, 1 failed, 2 /);
    assert.ok(
      Math.max(...help.stdout.split('\n').map((line) => line.length)) <= 125,
      'its lines fit a terminal',
    );
    assert.deepEqual([unknown.exitCode, unknown.stdout], [2, '']);
    assert.match(unknown.stderr, new RegExp(`^${name}: Unknown option '--no-such-option'; see: .*--help\n$`));
    const lines = readFileSync(join(repositoryRoot, `testing/scripts/${name}.ts`), 'utf8').split('\n');
    assert.ok(lines.length <= 130, `${lines.length} lines`);
  });
}

for (const name of stepNames.filter((step) => step !== 'setup-btrfs' && step !== 'teardown-btrfs')) {
  test(`${name} says what is missing when nothing is set up`, async () => {
    const { exitCode, stderr } = await runStepScript(name, ['--config', config]);
    assert.equal(exitCode, 1);
    assert.match(
      stderr,
      new RegExp(`^${name}: nothing is set up; run setup-btrfs\\.ts first, with the same --config \\(log: `),
    );
  });
}

test('teardown has nothing to do when nothing is set up', async () => {
  const { exitCode, stdout } = await runStepScript('teardown-btrfs', ['--config', config]);
  assert.deepEqual([exitCode, stdout], [0, 'nothing is set up\n']);
});

test('without root, setup names the command that was refused and how to allow it', async () => {
  const node = ['--import', 'tsx', 'testing/scripts/setup-btrfs.ts', '--config', config];
  const { exitCode, stdout, stderr } = await runProcess('setpriv', [
    ...['--reuid=65534', '--regid=65534', '--clear-groups'],
    // Wherever the checkout is, it can be read; access(2) too takes the capability only with this securebit (capabilities(7)).
    ...['--securebits=+no_setuid_fixup', '--inh-caps=+dac_read_search', '--ambient-caps=+dac_read_search'],
    process.execPath,
    ...node,
  ]);
  assert.deepEqual([exitCode, stdout], [1, '']);
  assert.match(
    stderr,
    /^setup-btrfs: the harness needs root .*"sudo -n [^"]+" was refused: .+; run it as root, or allow it /,
  );
  assert.match(stderr, /NOPASSWD:SETENV: \S+\n$/);
  assert.equal(stderr.split('\n').length, 2, 'it is one line');
});

/** A directory with links to some commands: a search path on which all others are missing. */
async function searchPath(name: string, commands: readonly string[]): Promise<string> {
  const path = join(directory, name);
  await mkdir(path);
  for (const command of commands) await symlink(await which(command), join(path, command));
  return path;
}

test('without losetup, setup says so and makes nothing', async () => {
  const PATH = await searchPath('without-losetup', [
    'node',
    'bash',
    'flock',
    'mount',
    'umount',
    'mkfs.btrfs',
    'btrfs',
  ]);
  const { exitCode, stderr } = await runStepScript('setup-btrfs', ['--config', config], { PATH });
  assert.equal(exitCode, 1);
  assert.match(stderr, /^setup-btrfs: the command losetup is missing; install it with: make setup \(log: /);
});

test('something in the way that no setup recorded is left alone', async () => {
  const run = join(directory, 'run');
  await mkdir(join(run, 'filesystem'), { recursive: true });
  const { exitCode, stderr } = await runStepScript('setup-btrfs', ['--config', config]);
  assert.equal(exitCode, 1);
  assert.match(
    stderr,
    /filesystem is there, but no setup recorded it; look what it is, and remove it by hand/,
  );
  const { stdout } = await runStepScript('teardown-btrfs', ['--config', config]);
  assert.equal(stdout, 'nothing is set up\n');
  readFileSync(join(run, 'lock'));
});

test('a step of a run that was killed does not go on by itself', async () => {
  const environment = { BTRFS_TO_S3_HARNESS_LOCKED_BY: '1' };
  const { exitCode, stderr } = await runStepScript('teardown-btrfs', ['--config', config], environment);
  assert.deepEqual([exitCode, stderr], [1, 'teardown-btrfs: the run that this step belongs to is gone\n']);
});
