/** How scripts are started: from bundles that are never stale, in a small checkout of its own. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  cpSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { repositoryRoot } from '../../testing/harness/test-directory.ts';
import { temporaryDirectory, tinyFilesystem } from '../support/temporary-directory.ts';

const directory = temporaryDirectory('launcher');
const modules = join(repositoryRoot, 'node_modules');
const door = 'scripts/tsx.sh';
let checkouts = 0;

const script = `import { z } from 'zod';
import { answer } from '../lib/answer.ts';

function fail(): never {
  throw new Error('on purpose');
}
const [mode] = process.argv.slice(2);
if (mode === 'fail') fail();
if (mode === 'catch') {
  try {
    fail();
  } catch (error) {
    console.log((error as Error).stack);
  }
}
if (mode === 'wait') await new Promise(() => undefined);
console.log(z.string().parse(answer), import.meta.dirname, ...process.argv.slice(1));
`;

/** Has the node that runs the tests, whatever is first in PATH. */
const bin = join(directory, 'bin');
mkdirSync(bin);
symlinkSync(process.execPath, join(bin, 'node'));

/** Packages of which zod is one line: most of a start would go to bundling the real one, and to loading it. */
function makeModules(name: string, packages: readonly string[] = ['tsx', 'esbuild']): string {
  const link = join(directory, name);
  mkdirSync(join(link, 'zod'), { recursive: true });
  cpSync(join(modules, '.package-lock.json'), join(link, '.package-lock.json'));
  for (const each of packages) symlinkSync(realpathSync(join(modules, each)), join(link, each));
  writeFileSync(join(link, 'zod/package.json'), '{"name": "zod", "main": "index.js"}');
  writeFileSync(join(link, 'zod/index.js'), 'exports.z = { string: () => ({ parse: (text) => text }) };\n');
  return link;
}

const smallModules = makeModules('small-modules');

/** A checkout with one script, which prints `first`. */
function makeCheckout(place = join(directory, `checkout-${checkouts++}`), link = smallModules): string {
  for (const folder of ['scripts', 'lib']) mkdirSync(join(place, folder), { recursive: true });
  cpSync(join(repositoryRoot, 'launcher'), join(place, 'launcher'), { recursive: true });
  for (const file of [door, 'package.json', 'tsconfig.json'])
    cpSync(join(repositoryRoot, file), join(place, file));
  symlinkSync(link, join(place, 'node_modules'));
  writeFileSync(join(place, 'scripts/try.ts'), script);
  writeFileSync(join(place, 'lib/answer.ts'), "export const answer: string = 'first';\n");
  return place;
}

async function start(place: string, command: string, args: readonly string[]) {
  const env = { PATH: `${bin}:${process.env.PATH}` };
  const child = spawn(command, args, { cwd: place, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const [stdout, stderr, [exitCode]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ]);
  return { stdout, stderr, exitCode };
}

const run = (place: string, ...args: readonly string[]) => start(place, door, ['scripts/try.ts', ...args]);

const bundleOf = (place: string) => join(place, '.build/try.bundle');

const says = (place: string, answer: string) => ({
  stdout: `${answer} ${place}/scripts ${place}/scripts/try.ts\n`,
  stderr: '',
  exitCode: 0,
});

test('the second start takes the bundle that the first has made, and the code that V8 compiled for it', async () => {
  const place = makeCheckout(undefined, modules);
  await sleep(200);
  assert.deepEqual(await run(place), says(place, 'first'));
  const made = statSync(bundleOf(place), { bigint: true });
  const names = readdirSync(join(place, '.build')).sort();
  assert.deepEqual(names, ['try.bundle', `try.node-${process.versions.node.split('.')[0]}.code`]);
  const code = statSync(join(place, '.build', names[1] ?? ''), { bigint: true });
  assert.deepEqual(await run(place), says(place, 'first'));
  assert.equal(statSync(bundleOf(place), { bigint: true }).ino, made.ino);
  assert.equal(statSync(join(place, '.build', names[1] ?? ''), { bigint: true }).ino, code.ino);
});

test('node --import tsx runs the same script', async () => {
  const place = makeCheckout();
  const { stdout } = await start(place, 'node', ['--import', 'tsx', 'scripts/try.ts']);
  assert.equal(stdout, says(place, 'first').stdout);
});

test('an edited file never runs stale, not even with the size and the time of the old one', async () => {
  const place = makeCheckout();
  const file = join(place, 'lib/answer.ts');
  for (const answer of ['first', 'other', 'a long one']) {
    writeFileSync(file, `export const answer: string = '${answer}';\n`);
    // As `touch -r`, `cp -p` and some editors do.
    utimesSync(file, 1_000_000_000, 1_000_000_000);
    assert.deepEqual(await run(place), says(place, answer));
  }
  writeFileSync(join(place, 'scripts/try.ts'), "console.log('new script');\n");
  assert.equal((await run(place)).stdout, 'new script\n');
});

test('an edit while the bundle is made is not lost', async () => {
  const place = makeCheckout();
  const file = join(place, 'lib/answer.ts');
  for (const waitMs of [0, 150, 300]) {
    rmSync(join(place, '.build'), { recursive: true, force: true });
    writeFileSync(file, "export const answer: string = 'first';\n");
    const started = run(place);
    await sleep(waitMs);
    writeFileSync(file, "export const answer: string = 'later';\n");
    await started;
    assert.deepEqual(await run(place), says(place, 'later'), `after ${waitMs} ms`);
  }
});

test('files that only look new, as after a clone, cost no new bundle', async () => {
  const place = makeCheckout();
  await sleep(200);
  await run(place);
  const idOf = () => /"id":"([^"]+)"/.exec(readFileSync(bundleOf(place), 'latin1'))?.[1];
  const id = idOf();
  const now = new Date();
  utimesSync(join(place, 'lib/answer.ts'), now, now);
  await sleep(200);
  assert.deepEqual(await run(place), says(place, 'first'));
  assert.ok(id);
  assert.equal(idOf(), id);
});

test('a package that is edited or replaced is bundled again', async () => {
  const link = makeModules('own-modules');
  const write = (word: string) =>
    writeFileSync(
      join(link, 'zod/index.js'),
      `exports.z = { string: () => ({ parse: () => '${word}' }) };\n`,
    );
  write('one');
  const place = makeCheckout(undefined, link);
  assert.deepEqual(await run(place), says(place, 'one'));
  write('two');
  assert.deepEqual(await run(place), says(place, 'two'));
});

test('stack traces name the .ts file and its line', async () => {
  const place = makeCheckout();
  for (const _ of ['without the code of V8', 'with it']) {
    const thrown = await run(place, 'fail');
    assert.equal(thrown.exitCode, 1);
    assert.match(
      thrown.stderr,
      new RegExp(`Error: on purpose\\n    at fail \\(${place}/scripts/try\\.ts:5:9\\)\n`),
    );
    const caught = await run(place, 'catch');
    const lines = caught.stdout.split('\n');
    assert.equal(lines[1], `    at fail (${place}/scripts/try.ts:5:9)`);
    assert.equal(lines[2], `    at ${place}/scripts/try.ts:11:5`);
  }
});

test('a script that waits for what never comes does not end as if it had done its work', async () => {
  const place = makeCheckout();
  assert.equal((await run(place, 'wait')).exitCode, 13);
});

test('many starts at once, with nothing made yet, all work', async () => {
  const place = makeCheckout();
  const results = await Promise.all(Array.from({ length: 4 }, () => run(place)));
  for (const result of results) assert.deepEqual(result, says(place, 'first'));
  const left = readdirSync(join(place, '.build')).filter((name) => name.endsWith('.tmp'));
  assert.deepEqual(left, []);
});

test('a bundle is replaced, not written over: a start that has opened it sees all of it', async () => {
  const place = makeCheckout();
  await run(place);
  const [whole, descriptor] = [readFileSync(bundleOf(place)), openSync(bundleOf(place), 'r')];
  writeFileSync(join(place, 'lib/answer.ts'), "export const answer: string = 'other';\n");
  assert.deepEqual(await run(place), says(place, 'other'));
  assert.ok(readFileSync(descriptor).equals(whole));
  closeSync(descriptor);
});

test('half a bundle, or none, is made anew', async () => {
  const place = makeCheckout();
  await run(place);
  const whole = readFileSync(bundleOf(place));
  const headerBytes = whole.indexOf('\n') + 1;
  const middle = Math.floor((headerBytes + whole.length) / 2);
  for (const sizeBytes of [0, 100, headerBytes, middle, whole.length - 1]) {
    writeFileSync(bundleOf(place), whole.subarray(0, sizeBytes));
    assert.deepEqual(await run(place), says(place, 'first'), `${sizeBytes} bytes`);
  }
});

test('where nothing can be written, scripts start through tsx, and say nothing of it', async () => {
  const place = tinyFilesystem('launcher', 2 ** 20);
  makeCheckout(place);
  assert.equal(spawnSync('mount', ['-o', 'remount,ro', place]).status, 0);
  assert.throws(() => writeFileSync(join(place, 'file'), ''), /EROFS/);
  assert.deepEqual(await run(place), says(place, 'first'));
  assert.equal((await run(place, 'wait')).exitCode, 13);
  assert.match((await run(place, 'fail')).stderr, /at fail \(.*\/scripts\/try\.ts:5:9\)/);
});

test('a full disk is no reason to fail either', async () => {
  const place = tinyFilesystem('launcher', 160 * 1024);
  makeCheckout(place);
  spawnSync('dd', ['if=/dev/zero', `of=${join(place, 'rest')}`, 'bs=4096']);
  assert.deepEqual(await run(place), says(place, 'first'));
  assert.throws(() => statSync(bundleOf(place)), /ENOENT/);
});

/** Without esbuild, and something in its place, or Node would find the one of the folders above. */
function makeFewModules(name: string, packages: readonly string[]): string {
  const link = makeModules(name, packages);
  mkdirSync(join(link, 'esbuild'));
  writeFileSync(join(link, 'esbuild/index.js'), "throw new Error('not for this machine');\n");
  return link;
}

test('without packages one line says how to install them', async () => {
  const link = makeFewModules('no-modules', []);
  mkdirSync(join(link, 'tsx'));
  const place = makeCheckout(undefined, link);
  assert.deepEqual(await run(place), {
    stdout: '',
    stderr: `try.ts: the npm packages are not installed; run: make -C ${place} setup\n`,
    exitCode: 1,
  });
});

test('without esbuild scripts start through tsx, and say nothing of it', async () => {
  const place = makeCheckout(undefined, makeFewModules('few-modules', ['tsx']));
  assert.deepEqual(await run(place), says(place, 'first'));
  assert.deepEqual(readdirSync(join(place, '.build')), []);
});
