/** No secret reaches a log line, a run file, an argument list or the bucket, whatever goes wrong. */
import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { assertClean, assertNothingStays, mistyped, token } from '../end-to-end/marked-secrets.ts';
import { recordChildren } from '../end-to-end/recorded-children.ts';
import { createWorld, errorLines, runProcess, secret, type World } from '../end-to-end/world.ts';

/** Arguments of all processes whose ancestors include this one, all the time until it is stopped. */
function watchArguments() {
  const seen = new Set<string>();
  let watching = true;
  const done = (async () => {
    while (watching) {
      for (const pid of await descendants(process.pid)) {
        seen.add((await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' '));
      }
      await sleep(5);
    }
  })();
  return async () => {
    watching = false;
    await done;
    return [...seen];
  };
}

async function descendants(ancestor: number): Promise<readonly number[]> {
  const children = new Map<number, number[]>();
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const stat = await readFile(`/proc/${entry}/stat`, 'utf8').catch(() => '');
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 4).split(' ')[0]);
    children.set(parent, [...(children.get(parent) ?? []), Number(entry)]);
  }
  const found: number[] = [];
  for (const queue = [ancestor]; queue.length > 0; ) {
    const below = children.get(queue.shift() ?? 0) ?? [];
    found.push(...below);
    queue.push(...below);
  }
  return found;
}

const scripts = [
  ['snapshot.ts', '--dry-run'],
  ['snapshot.ts'],
  ['send-chunk-upload.ts'],
  ['manifest.ts'],
  ['list.ts'],
  ['thaw.ts', '--subvolume', 'data'],
  ['verify.ts'],
  ['verify.ts', '--deep'],
  ['restore.ts', '--subvolume', 'data'],
] as const;

/** Ways to hand the credentials over; each gives the changes of the settings and the environment. */
const handOvers: Readonly<
  Record<
    string,
    (world: World) => Promise<{
      readonly settings: Readonly<Record<string, string | undefined>>;
      readonly environment?: Readonly<Record<string, string>>;
    }>
  >
> = {
  'the settings file': async () => ({ settings: { AWS_SESSION_TOKEN: token } }),
  'the environment': async () => ({
    settings: { AWS_ACCESS_KEY_ID: undefined, AWS_SECRET_ACCESS_KEY: undefined },
    environment: { AWS_ACCESS_KEY_ID: 'end-to-end', AWS_SECRET_ACCESS_KEY: secret, AWS_SESSION_TOKEN: token },
  }),
  'an AWS profile': async ({ directory }) => {
    const file = join(directory, 'credentials');
    const profile = `[marked]\naws_access_key_id=end-to-end\naws_secret_access_key=${secret}\naws_session_token=${token}\n`;
    await writeFile(file, profile, { mode: 0o600 });
    const settings = {
      AWS_ACCESS_KEY_ID: undefined,
      AWS_SECRET_ACCESS_KEY: undefined,
      AWS_PROFILE: 'marked',
    };
    return { settings: { ...settings, AWS_SHARED_CREDENTIALS_FILE: file } };
  },
};

const formats = ['json', 'pretty'];

for (const [ways, [way, handOver]] of Object.entries(handOvers).entries()) {
  test(`a secret from ${way} stays out of output, run files, children and bucket, in every script`, async (t) => {
    const world = await createWorld(t, { LOG_LEVEL: 'debug' });
    const children = await recordChildren(world.directory);
    await writeFile(join(world.data, 'file'), '1');
    const { settings, environment } = await handOver(world);
    const stop = watchArguments();
    world.cleanUp(stop);
    for (const [index, [script, ...options]] of scripts.entries()) {
      const config = await world.settingsFile({ ...settings, LOG_FORMAT: formats[(index + ways) % 2] });
      const target = script === 'restore.ts' ? ['--target', join(world.mount, 'restored')] : [];
      const args = [`scripts/${script}`, '--config', config, ...options, ...target];
      // Not through tsx.sh, which is no child of the script, and has the environment that the user gave it.
      const result = await runProcess(process.execPath, ['--import', 'tsx', ...args], {
        ...environment,
        PATH: children.path,
      });
      assert.equal(result.exitCode, 0, `${script}: ${result.stderr}`);
      assertClean(result.stdout + result.stderr, script);
    }
    const seen = await stop();
    assert.ok(
      seen.some((line) => /node .*restore\.ts/.test(line)),
      'processes were seen',
    );
    assertClean(seen.join('\n'), 'arguments');
    assert.deepEqual([...(await children.names())].sort(), [
      'bash',
      'btrfs',
      'flock',
      'lsattr',
      'mkfifo',
      'rsync',
    ]);
    await assertNothingStays(world, children);
  });
}

test('a secret on the command line is refused by every script, and named with the place where it belongs', async (t) => {
  const world = await createWorld(t);
  for (const [script, ...args] of scripts.filter(([, option]) => option !== '--dry-run')) {
    const keys = ['AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'];
    const runs = keys.map((key) => world.run(script, ...args, '--set', `${key}=${mistyped}`));
    for (const [index, result] of (await Promise.all(runs)).entries()) {
      assert.equal(result.exitCode, 2, result.stderr);
      const says = new RegExp(`^--set: ${keys[index]} is a secret, .*; put it into the file`);
      assert.match(errorLines(result).join(), says);
      assertClean(result.stdout + result.stderr, script);
    }
  }
  const set = [`CONFIG=${await world.settingsFile()}`, `SET=AWS_SECRET_ACCESS_KEY=${mistyped}`];
  const targets = ['backup', 'snapshot', 'upload', 'publish', 'list', 'verify', 'restore'];
  for (const made of await Promise.all(targets.map((target) => runProcess('make', [target, ...set])))) {
    assert.equal(made.exitCode, 2, made.stderr);
    assertClean(made.stdout + made.stderr, 'make');
  }
  assert.deepEqual(world.server.requests, [], 'nothing was asked');
});
