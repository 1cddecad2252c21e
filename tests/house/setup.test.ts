/** `make setup` beside scripts that run: in a small checkout of its own, with an npm that installs one package of one file. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { repositoryRoot } from '../../testing/harness/test-directory.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const directory = temporaryDirectory('setup');
const bin = join(directory, 'bin');
mkdirSync(bin);
// Fails for the version that is "bad"; takes what npm takes away when it is run in place.
const npm = `#!/usr/bin/env bash
rm -rf node_modules
mkdir -p node_modules/answer
[[ $(< package-lock.json) != bad ]] || exit 1
cp package-lock.json node_modules/answer/index.js
cp package-lock.json node_modules/.package-lock.json
`;
writeFileSync(join(bin, 'npm'), npm, { mode: 0o755 });
// Runs until its input ends, and answers the question for its version.
const node = `#!/bin/sh
[ "$1" = -p ] && exec echo 24
echo begun
exec cat
`;
writeFileSync(join(bin, 'node'), node, { mode: 0o755 });
let checkouts = 0;

function makeCheckout(): string {
  const place = join(directory, `checkout-${checkouts++}`);
  mkdirSync(join(place, 'scripts'), { recursive: true });
  copyFileSync(join(repositoryRoot, 'scripts/setup.sh'), join(place, 'scripts/setup.sh'));
  writeFileSync(join(place, 'package.json'), '{}');
  return place;
}

async function setUp(
  place: string,
  version: string,
  path = `${bin}:${process.env.PATH}`,
): Promise<{ exitCode: number; stderr: string }> {
  // A setup that runs beside this one must not find half a file.
  const lockfile = join(place, 'package-lock.json');
  if (!existsSync(lockfile) || readFileSync(lockfile, 'utf8') !== version) writeFileSync(lockfile, version);
  const child = spawn('scripts/setup.sh', {
    cwd: place,
    env: { PATH: path },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const [stderr, [exitCode]] = await Promise.all([text(child.stderr), once(child, 'close')]);
  return { exitCode, stderr };
}

async function mustSetUp(place: string, version: string): Promise<void> {
  assert.deepEqual(await setUp(place, version), { exitCode: 0, stderr: '' });
  assert.equal(installed(place), version);
}

const installed = (place: string) => readFileSync(join(place, 'node_modules/answer/index.js'), 'utf8');

const trees = (place: string) => readdirSync(join(place, '.modules')).filter((name) => name !== 'lock');

test('while setup installs other versions, a package is there at every moment', async () => {
  const place = makeCheckout();
  await mustSetUp(place, 'version 0');
  let [reads, done] = [0, false];
  const reading = (async () => {
    for (; !done; reads++, await turn()) assert.match(installed(place), /^version \d+$/);
  })();
  try {
    for (let version = 1; version <= 10; version++) await mustSetUp(place, `version ${version}`);
  } finally {
    done = true;
  }
  await reading;
  assert.ok(reads > 100, `${reads} reads`);
});

test('what has begun with a tree finds it there until the next setup, and for as long as it holds its lock', async (t) => {
  const place = makeCheckout();
  await mustSetUp(place, 'old');
  const old = realpathSync(join(place, 'node_modules'));
  const holder = spawn(
    'flock',
    ['--shared', '--no-fork', join(old, '.package-lock.json'), 'sh', '-c', 'echo; exec cat'],
    {
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  );
  t.after(() => holder.kill());
  await once(holder.stdout, 'data');
  for (const version of ['1', '2', '3']) {
    const replaced = realpathSync(join(place, 'node_modules'));
    await mustSetUp(place, version);
    assert.equal(readFileSync(join(old, 'answer/index.js'), 'utf8'), 'old');
    assert.ok(existsSync(replaced));
  }
  assert.equal(trees(place).length, 3);
  holder.stdin.end();
  await once(holder, 'close');
  await mustSetUp(place, '4');
  assert.equal(existsSync(old), false);
  assert.equal(trees(place).length, 2);
});

for (const [command, file] of [
  ['scripts/tsx.sh', 'testing/scripts/try.ts'],
  ['testing/run-tests.sh', 'tests/try.test.ts'],
] as const) {
  test(`${command} holds the lock for as long as it runs`, async (t) => {
    const place = makeCheckout();
    await mustSetUp(place, 'old');
    const tree = realpathSync(join(place, 'node_modules'));
    for (const path of [command, file]) mkdirSync(join(place, dirname(path)), { recursive: true });
    copyFileSync(join(repositoryRoot, command), join(place, command));
    writeFileSync(join(place, file), '');
    const env = { PATH: `${bin}:${process.env.PATH}` };
    const run = spawn(command, [file], { cwd: place, env, stdio: ['pipe', 'pipe', 'inherit'] });
    t.after(() => run.kill());
    await once(run.stdout, 'data');
    for (const version of ['1', '2']) await mustSetUp(place, version);
    assert.ok(existsSync(tree));
    run.stdin.end();
    await once(run, 'close');
    await mustSetUp(place, '3');
    assert.equal(existsSync(tree), false);
  });
}

test('when npm fails, what was installed stays, and nothing else is left', async () => {
  const place = makeCheckout();
  await mustSetUp(place, 'good');
  const before = trees(place);
  assert.equal((await setUp(place, 'bad')).exitCode, 1);
  assert.equal(installed(place), 'good');
  assert.deepEqual(trees(place), before);
});

test('what npm has installed by itself is replaced, and kept for those that run', async () => {
  const place = makeCheckout();
  mkdirSync(join(place, 'node_modules/answer'), { recursive: true });
  writeFileSync(join(place, 'node_modules/answer/index.js'), 'by hand');
  await mustSetUp(place, 'new');
  assert.ok(lstatSync(join(place, 'node_modules')).isSymbolicLink());
  assert.equal(trees(place).length, 2);
});

test('what is installed is not installed again, unless it was removed', async () => {
  const place = makeCheckout();
  await mustSetUp(place, 'same');
  const tree = realpathSync(join(place, 'node_modules'));
  await mustSetUp(place, 'same');
  assert.equal(realpathSync(join(place, 'node_modules')), tree);
  rmSync(join(place, 'node_modules'));
  await mustSetUp(place, 'same');
  assert.notEqual(realpathSync(join(place, 'node_modules')), tree);
});

test('setups at once wait for each other', async () => {
  const place = makeCheckout();
  const results = await Promise.all(Array.from({ length: 4 }, () => setUp(place, 'one')));
  for (const result of results) assert.deepEqual(result, { exitCode: 0, stderr: '' });
  assert.equal(trees(place).length, 1);
});

test('an apt that is at work already is waited for', async () => {
  const place = makeCheckout();
  // A host without age, whose apt-get installs it.
  const host = join(directory, 'host');
  mkdirSync(host);
  for (const name of readdirSync('/usr/bin')) symlinkSync(join('/usr/bin', name), join(host, name));
  const calls = join(directory, 'calls');
  const aptGet = `#!/bin/bash
echo "$*" >> '${calls}'
if [[ $1 == update ]]; then
  [[ -e '${directory}/tried' ]] && exit 0
  touch '${directory}/tried'
  echo 'E: Could not get lock /var/lib/apt/lists/lock. It is held by process 1 (apt-get)' >&2
  exit 100
fi
ln -s /usr/bin/true '${host}/age'
`;
  for (const name of ['age', 'apt-get', 'sleep']) rmSync(join(host, name), { force: true });
  writeFileSync(join(host, 'apt-get'), aptGet, { mode: 0o755 });
  symlinkSync('/usr/bin/true', join(host, 'sleep'));
  assert.deepEqual(await setUp(place, 'one', `${bin}:${host}`), {
    exitCode: 0,
    stderr:
      'setup: missing commands: age\nsetup: another apt is updating the package lists; waiting for it\n',
  });
  const [first, second, third, ...more] = readFileSync(calls, 'utf8').trimEnd().split('\n');
  assert.deepEqual([first, second, more], ['update -qq', 'update -qq', []]);
  assert.match(third ?? '', /^install .*DPkg::Lock::Timeout=\d+ /);
});
