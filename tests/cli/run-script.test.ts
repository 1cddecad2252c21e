import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { runProcess } from '../end-to-end/world.ts';
import { accessKeyId, bucketName, startTestBucket } from '../support/bucket.ts';
import { type Outcome, runCode, runNode } from '../support/run-program.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const directory = temporaryDirectory('run-script');
const { proxy } = await startTestBucket(join(directory, 's3'));
const secret = 'this-is-not-the-secret';
const config = join(directory, 'backup.env');
const settings = [
  `S3_BUCKET=${bucketName}`,
  'S3_PREFIX=host',
  'AWS_REGION=us-east-1',
  `AWS_ENDPOINT_URL_S3=${proxy.endpoint}`,
  `AWS_ACCESS_KEY_ID=${accessKeyId}`,
  `AWS_SECRET_ACCESS_KEY=${secret}`,
  `RUN_DIR=${join(directory, 'run')}`,
  'LOG_LEVEL=debug',
];
writeFileSync(config, `${settings.join('\n')}\n`, { mode: 0o600 });

const list = (...args: readonly string[]) => runNode(['scripts/list.ts', '--config', config, ...args]);

const rightConfig = join(directory, 'right.env');
const rightSettings = settings.map((line) => line.replace(secret, 'not-a-secret'));
writeFileSync(rightConfig, `${rightSettings.join('\n')}\n`, { mode: 0o600 });

const right = ['--config', rightConfig];
// Each takes a second of its own, so they run beside each other.
const runs = {
  unknownFlag: list('--nope'),
  failure: list(),
  pretty: list('--set', 'LOG_FORMAT=pretty'),
  table: list(...right),
  json: list(...right, '--json'),
  badSettings: list('--set', 'CONCURRENCY=0', '--set', 'S3_BUKET=x'),
};

/** The records of a log, one JSON document a line. */
function recordsOf({ stderr }: Outcome): readonly Readonly<Record<string, unknown>>[] {
  return stderr
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

test('an unknown flag exits 2 with one line on stderr and nothing on stdout', async () => {
  const outcome = await runs.unknownFlag;
  assert.deepEqual([outcome.exitCode, outcome.stdout], [2, '']);
  const records = recordsOf(outcome);
  assert.equal(records.length, 1);
  const { time, ...record } = records[0] ?? {};
  assert.match(String(time), /^20\d\d-\d\d-\d\dT[\d:.]+Z$/);
  assert.deepEqual(record, {
    level: 'error',
    script: 'list',
    kind: 'usage',
    msg: "Unknown option '--nope'; see: node --import tsx scripts/list.ts --help",
  });
});

test('a failure exits 1 with one line, and the secret is nowhere, even at the level debug', async () => {
  const outcome = await runs.failure;
  assert.deepEqual([outcome.exitCode, outcome.stdout], [1, '']);
  const records = recordsOf(outcome);
  assert.equal(records.length, 1);
  assert.match(String(records[0]?.msg), /the signature was refused .*; check AWS_SECRET_ACCESS_KEY$/);
  assert.doesNotMatch(outcome.stderr, new RegExp(secret));
});

test('on request the line is for people, still without the secret', async () => {
  const { exitCode, stderr } = await runs.pretty;
  assert.equal(exitCode, 1);
  assert.match(stderr, /^ERROR: cannot list .*: the signature was refused .*\n$/);
  assert.doesNotMatch(stderr, new RegExp(secret));
});

/** Without what list says of restores that others have left, or have under way, on Btrfs filesystems of this machine. */
function ofThisTest(stderr: string): string {
  return stderr.replace(/^.*\.btrfs-to-s3-restore-.*\n/gm, '');
}

test('with the right secret an empty bucket is no failure, as a table or as JSON', async () => {
  const [table, json] = [await runs.table, await runs.json];
  assert.deepEqual([table.exitCode, table.stdout], [0, `no backups in ${bucketName} under host/\n`]);
  const [advice, ...others] = recordsOf({ ...table, stderr: ofThisTest(table.stderr) });
  assert.match(String(advice?.msg), /^no lifecycle rule of bucket /);
  assert.deepEqual([advice?.level, others], ['info', []]);
  assert.deepEqual(JSON.parse(json.stdout), { bucket: bucketName, prefix: 'host', backups: [] });
  assert.deepEqual([json.exitCode, ofThisTest(json.stderr)], [0, '']);
});

test('bad settings exit 2, one line for each', async () => {
  const outcome = await runs.badSettings;
  assert.equal(outcome.exitCode, 2);
  const messages = recordsOf(outcome).map(({ msg }) => String(msg));
  assert.equal(messages.length, 2);
  assert.match(messages.join('\n'), /S3_BUKET is not a setting.*\n.*CONCURRENCY must be/);
});

test('a signal after the last moment at which it could stop something still ends what would come next', async () => {
  const { exitCode, stderr, stdout } = await runCode(`
    import { setTimeout as sleep } from 'node:timers/promises';
    import { runScript } from './lib/cli/run-script.ts';
    process.argv.push('--config', ${JSON.stringify(config)}, ...${JSON.stringify(right)});
    await runScript({
      file: 'list.ts', summary: '', options: {}, needs: 'bucket', locked: false,
      async run({ context: { signal } }) {
        process.kill(process.pid, 'SIGTERM');
        while (!signal.aborted) await sleep(5);
        console.log('done');
        return 0;
      },
    });
  `);
  assert.deepEqual([exitCode, stdout], [143, 'done\n'], stderr);
  assert.deepEqual(
    stderr
      .trim()
      .split('\n')
      .map((line) => [JSON.parse(line).level, JSON.parse(line).msg]),
    [['warn', 'SIGTERM arrived after the work had finished']],
  );
});

test('a reader that has seen enough is no failure, with --help or a result; a full disk under stdout is one', async () => {
  const shell = (line: string) => runProcess('bash', ['-o', 'pipefail', '-c', line]);
  const script = `scripts/tsx.sh scripts/list.ts`;
  const listing = `${script} --json --config ${rightConfig}`;
  const [help, result, fullHelp, fullResult] = await Promise.all(
    [
      `${script} --help | true`,
      `${listing} | true`,
      `${script} --help > /dev/full`,
      `${listing} > /dev/full`,
    ].map(shell),
  );
  assert.deepEqual([help?.exitCode, help?.stderr], [0, '']);
  assert.deepEqual([result?.exitCode, ofThisTest(result?.stderr ?? '')], [0, '']);
  const says = 'list.ts: cannot write to stdout: ENOSPC: no space left on device, write\n';
  assert.deepEqual([fullHelp?.exitCode, fullHelp?.stderr], [1, says]);
  assert.deepEqual([fullResult?.exitCode, ofThisTest(fullResult?.stderr ?? '')], [1, says]);
});
