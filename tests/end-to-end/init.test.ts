/** make init, as a person uses it on a terminal and as a script does. */
import assert from 'node:assert/strict';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ListBucketsCommand } from '@aws-sdk/client-s3';
import { pathExists } from '../../lib/edge/files/files.ts';
import { type RunningTerminal, startInTerminal } from '../../testing/harness/processes/terminal.ts';
import { runScript } from '../support/script-within.ts';
import { until } from './running-script.ts';
import { smallWorld, write } from './small-world.ts';
import { errorLines, namesIn, runProcess, secret, type World } from './world.ts';

const size = { columns: 220, rows: 50 };

/** A make init on a terminal, and how it is answered. */
class Session {
  readonly terminal: RunningTerminal;
  #seen = 0;

  constructor(t: TestContext, world: World, config: string) {
    const home = { HOME: '/nonexistent', AWS_EC2_METADATA_DISABLED: 'true' };
    // What it names is not asked for; the default is not for tests.
    const line = `scripts/tsx.sh scripts/init.ts --config '${config}' --set RUN_DIR=${world.runDirectory}`;
    this.terminal = startInTerminal(line, size, home);
    t.after(() => this.terminal.child.kill());
  }

  /** Waits for a question, and types. */
  async answer(question: RegExp, text: string): Promise<void> {
    for (let tries = 0; ; tries += 1) {
      const lines = await this.terminal.lines();
      const last = lines.length - 1;
      // A long question has several lines: its default names whatever Btrfs is mounted here.
      if (last >= this.#seen && question.test(lines.slice(this.#seen).join(' '))) {
        this.#seen = last + 1;
        this.terminal.child.stdin?.write(`${text}\r`);
        return;
      }
      if (tries > 600) assert.fail(`no ${question} in:\n${lines.join('\n')}`);
      await sleep(50);
    }
  }

  async screen(): Promise<string> {
    return (await this.terminal.lines()).join('\n');
  }
}

/** Answers everything up to the last question for the world's server. */
async function answerAll(session: Session, world: World, bucket: string, key = secret): Promise<void> {
  await session.answer(/What to back up.*:/, world.data);
  await session.answer(/Directory for its read-only snapshots.*:/, '');
  await session.answer(/Number.*:/, '5');
  await session.answer(/Address of the server.*:/, world.server.endpoint);
  await session.answer(/Region that the server calls itself.*:/, '');
  await session.answer(/Number.*:/, 'keys');
  await session.answer(/Access key ID.*:/, 'end-to-end');
  await session.answer(/Secret access key.*:/, key);
  await session.answer(/Bucket; one that does not exist.*:/, bucket);
  await session.answer(/Prefix of this host.*:/, 'fleet/host-9');
}

test('from nothing to settings, a bucket and a verified restore, by answering questions', async (t) => {
  const world = await smallWorld(t);
  await write(world, 'a', 'b');
  const config = join(world.directory, 'new', 'backup.env');
  const session = new Session(t, world, config);
  await answerAll(session, world, 'new-bucket');
  await session.answer(/Encrypt backups with age.*:/, 'n');
  await session.answer(/How often the timer takes.*:/, '1d');
  await session.answer(/How often a full backup is due.*:/, '');
  await session.answer(/There is no bucket new-bucket\. Make it.*:/, '');
  await session.answer(/Write .*\?.*:/, '');
  const exitCode = await session.terminal.ended;
  const screen = await session.screen();
  assert.equal(exitCode, 0, screen);
  assert.equal(screen.includes(secret), false, 'the secret is not shown');
  assert.match(screen, /^✓ +permissions +may do what make backup needs/m);
  assert.match(screen, /^✓ +lifecycle/m);
  assert.match(screen, /What the first backup will take and cost.*\n(.*\n)*.*data/);
  assert.match(screen, /^ {2}make restore CONFIG=\S+ SUBVOLUME=data TARGET=\S+restored-data +#/m);
  assert.equal((await stat(config)).mode & 0o777, 0o600);
  assert.equal((await stat(join(world.data, '.btrfs-to-s3'))).mode & 0o777, 0o700);
  const { Buckets = [] } = await world.client.send(new ListBucketsCommand({}));
  assert.ok(Buckets.some(({ Name }) => Name === 'new-bucket'));

  // As README.md goes on.
  const common = ['--config', config];
  const run = (script: string, ...args: readonly string[]) => runScript(script, [...common, ...args]);
  for (const args of [['--dry-run'], []]) {
    const { exitCode: code, stderr } = await run('backup.ts', ...args);
    assert.equal(code, 0, stderr);
  }
  const target = join(world.mount, 'restored');
  const restored = await run('restore.ts', '--subvolume', 'data', '--target', target);
  assert.equal(restored.exitCode, 0, restored.stderr);
  assert.match(restored.stdout + restored.stderr, /compared/);
  assert.equal(await readFile(join(target, 'a'), 'utf8'), await readFile(join(world.data, 'a'), 'utf8'));
});

test('an answer that its rule refuses is asked for again; Ctrl-C leaves nothing', async (t) => {
  const world = await smallWorld(t);
  const config = join(world.directory, 'backup.env');
  const session = new Session(t, world, config);
  await session.answer(/What to back up.*:/, 'data');
  await session.answer(/What to back up.*:/, `${world.mount}/snapshots`);
  await session.answer(/What to back up.*:/, world.data);
  await session.answer(/Directory for its read-only snapshots.*:/, '/tmp/elsewhere');
  await session.answer(/Directory for its read-only snapshots.*:/, '');
  await session.answer(/Number.*:/, '9');
  await session.answer(/Number.*:/, '\u0003');
  assert.equal(await session.terminal.ended, 130);
  const screen = await session.screen();
  assert.match(screen, /"data" is neither an absolute path nor name=\/path/);
  assert.match(screen, /mount\/snapshots is not a Btrfs subvolume/);
  assert.match(screen, /is on .*, and .* on .*: a snapshot stays on its filesystem/);
  assert.match(screen, /answer 1 to 5/);
  assert.match(screen, /stopped: no settings were written$/m);
  assert.deepEqual(await namesIn(world.data), []);
  await assert.rejects(stat(config), { code: 'ENOENT' });
});

test('credentials that the server refuses are said so, and are written only where that is asked for', async (t) => {
  const world = await smallWorld(t);
  const config = join(world.directory, 'backup.env');
  const session = new Session(t, world, config);
  await answerAll(session, world, 'backups', 'mistyped-secret');
  await session.answer(/Encrypt backups with age.*:/, 'n');
  await session.answer(/How often the timer takes.*:/, '');
  await session.answer(/How often a full backup is due.*:/, '');
  await session.answer(
    /! cannot use the bucket: the signature was refused.*all the same\? \(y\/n\) \[n\]:/,
    '',
  );
  assert.equal(await session.terminal.ended, 130);
  assert.match(await session.screen(), /stopped: no settings were written$/m);
  await assert.rejects(stat(config), { code: 'ENOENT' });
});

test('a new key is shown, and nothing goes on before there is a copy of it; without one nothing is left', async (t) => {
  const world = await smallWorld(t);
  const [config, key] = [join(world.directory, 'backup.env'), join(world.directory, 'backup.key')];
  const upToKey = async () => {
    const session = new Session(t, world, config);
    await answerAll(session, world, 'backups');
    await session.answer(/Encrypt backups with age.*:/, 'y');
    await session.answer(/Do you have an age or SSH key.*:/, '');
    await session.answer(/File for a new key.*:/, key);
    await session.answer(/How often the timer takes.*:/, '');
    await session.answer(/How often a full backup is due.*:/, '');
    await session.answer(/Write .*\?.*:/, '');
    await session.answer(/Write "kept".*:/, 'yes');
    return session;
  };
  const stopped = await upToKey();
  await stopped.answer(/Write "kept".*:/, '\u0003');
  assert.equal(await stopped.terminal.ended, 130);
  for (const path of [key, config, join(world.data, '.btrfs-to-s3')])
    await assert.rejects(stat(path), { code: 'ENOENT' });

  const closed = await upToKey();
  closed.terminal.child.kill('SIGKILL');
  await until('the key is gone', async () => !(await pathExists(key)));

  const session = await upToKey();
  const shown = await session.screen();
  await session.answer(/Write "kept".*:/, 'kept');
  assert.equal(await session.terminal.ended, 0, await session.screen());
  const identity = await readFile(key, 'utf8');
  assert.ok(shown.includes(identity.trim().split('\n').at(-1) ?? 'no key'));
  assert.equal((await stat(key)).mode & 0o777, 0o600);
  assert.ok((await session.screen()).includes(`SET="DECRYPT_WITH=${key}"`), 'a restore needs it');
  const text = await readFile(config, 'utf8');
  assert.match(text, /^ENCRYPT_TO=age1/m);
  assert.match(text, /^# Where backups are restored or drilled: DECRYPT_WITH=/m);
});

test('without a terminal SET= answers, what is missing is one line, and nothing is written over', async (t) => {
  const world = await smallWorld(t);
  const config = join(world.directory, 'backup.env');
  const keys = { AWS_ACCESS_KEY_ID: 'end-to-end', AWS_SECRET_ACCESS_KEY: secret };
  const init = (sets: string, environment = {}) =>
    runProcess(
      'scripts/tsx.sh',
      ['scripts/init.ts', '--config', config, '--make-bucket', '--sets', sets],
      environment,
    );
  const refused = async (sets: string, words: RegExp) => {
    const result = await init(sets);
    assert.equal(result.exitCode, 2, result.stderr);
    assert.equal(errorLines(result).length, 1);
    assert.match(errorLines(result)[0] ?? '', words);
    await assert.rejects(stat(config), { code: 'ENOENT' });
  };
  await refused('', /^there is no terminal to ask on, and SET= lacks SUBVOLUMES, AWS_REGION, S3_BUCKET;/);
  await refused('SUBVOLUMES=data', /^SET: SUBVOLUMES "data" is neither/);
  await refused('S3_BUKET=x', /^SET: S3_BUKET is not a setting; did you mean S3_BUCKET\?/);
  await refused('AWS_SECRET_ACCESS_KEY=abcdefgh', /^SET: AWS_SECRET_ACCESS_KEY is a secret/);
  const sets = [
    `SUBVOLUMES=${world.data}`,
    'S3_BUCKET=made-bucket',
    `AWS_ENDPOINT_URL_S3=${world.server.endpoint}`,
  ];
  await refused(
    `${sets.join(' ')} PART_SIZE=1GiB CHUNK_SIZE=5MiB SSE=aws:kms`,
    /aws:kms needs SSE_KMS_KEY_ID/,
  );
  const mistyped = await init(sets.join(' '), { ...keys, AWS_SECRET_ACCESS_KEY: 'mistyped-secret' });
  assert.equal(mistyped.exitCode, 1, mistyped.stderr);
  assert.match(
    errorLines(mistyped)[0] ?? '',
    /^no settings were written: cannot use the bucket: the signature was refused .*; check AWS_SECRET_ACCESS_KEY, and run again$/,
  );
  await assert.rejects(stat(config), { code: 'ENOENT' });
  const done = await init(`${sets.join(' ')} S3_PREFIX=fleet/host-1 RUN_DIR=${world.runDirectory}`, keys);
  assert.equal(done.exitCode, 0, done.stdout + done.stderr);
  assert.match(done.stdout, /^nothing is broken/m);
  const before = await readFile(config, 'utf8');
  assert.match(before, /^AWS_SECRET_ACCESS_KEY=end-to-end-secret$/m);
  const again = await init(sets.join(' '));
  assert.equal(again.exitCode, 2);
  assert.match(
    errorLines(again)[0] ?? '',
    /backup\.env exists already, and is not written over; make doctor looks at it/,
  );
  assert.equal(await readFile(config, 'utf8'), before);
});
