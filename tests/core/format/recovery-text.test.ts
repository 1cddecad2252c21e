import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { recoveryText } from '../../../lib/core/format/recovery-text.ts';
import { makeIdentity } from '../../support/age-keys.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const directory = temporaryDirectory('recovery-text');

/** The commands of the text: lines that are set off by five blanks, as they would be pasted, one block after a blank line. */
function commandBlocks(text: string): readonly string[] {
  return text
    .split('\n\n')
    .filter((block) => block.startsWith('     '))
    .map((block) => block.replace(/^ {5}/gm, ''));
}

const hasJq = spawnSync('jq', ['--version']).status === 0;
const text = recoveryText('my-backups', 'home/server');
const blocks = commandBlocks(text);

test('the text names the bucket and the prefix, and nothing is left out', () => {
  assert.match(text, /s3:\/\/my-backups\/home\/server\/subvol\/NAME\/current\.json/);
  assert.match(text, /Below home\/server\/subvol\//);
  assert.match(text, /--bucket my-backups /);
  assert.doesNotMatch(text, /undefined|null,|\$\{/);
  assert.ok(text.split('\n').every((line) => line.length <= 120));
});

test('every command in the text is one that bash understands, of a program that the text names', () => {
  assert.ok(blocks.length >= 4);
  const told = text.slice(0, text.indexOf('1. '));
  for (const block of blocks) {
    const checked = spawnSync('bash', ['--norc', '-n'], { input: block, encoding: 'utf8' });
    assert.equal(checked.stderr, '', block);
    const [program = ''] = block.split(' ');
    assert.ok(told.includes(program), `${program} is among the commands one needs`);
  }
});

test('a chunk that is not right keeps the rest from btrfs receive', () => {
  const fetch = blocks.find((block) => block.includes('btrfs receive')) ?? '';
  assert.match(fetch, /sha256sum --check &&\n/);
});

test('the thaw request is JSON that S3 takes', () => {
  const thaw = blocks.find((block) => block.includes('restore-object')) ?? '';
  const request: unknown = JSON.parse(/'(\{.*\})'/.exec(thaw)?.[1] ?? '');
  assert.deepEqual(request, { Days: 7, GlacierJobParameters: { Tier: 'Standard' } });
});

test('with its commands the frames of an encrypted backup become the stream again', {
  skip: !hasJq && 'no jq here',
}, async () => {
  const { identity, recipient } = await makeIdentity(directory, 'identity');
  const encode = (plain: string) =>
    execFileSync('bash', ['-c', 'zstd -qc | age -r "$0"', recipient], { input: plain });
  const [first, second] = [['first frame, ', 'second frame, '], ['third frame']].map((plain) =>
    plain.map(encode),
  );
  assert.ok(first && second);
  const stream = createHash('sha256').update('first frame, second frame, third frame').digest('hex');
  const work = join(directory, 'frames');
  mkdirSync(work);
  for (const [index, frames] of [first, second].entries()) {
    writeFileSync(join(work, `chunk-${index}.bin`), Buffer.concat(frames));
  }
  const chunks = [first, second].map((frames, index) => ({
    key: `a/b/chunk-${index}.bin`,
    frames: frames.map(({ length }) => ({ size: length, plain_size: 1 })),
  }));
  const sealed = execFileSync('age', ['-r', recipient], { input: JSON.stringify({ stream }) });
  writeFileSync(join(work, 'manifest.json'), JSON.stringify({ chunks, sealed: sealed.toString('base64') }));
  const run = (word: string) => {
    const block = blocks.find((found) => found.includes(word)) ?? assert.fail();
    const script = block.replaceAll('IDENTITY', identity);
    return execFileSync('bash', ['--norc', '-euo', 'pipefail', '-c', script], {
      cwd: work,
      encoding: 'utf8',
    });
  };
  assert.equal(run('sha256sum stream'), `${stream}  stream\n`);
  assert.equal(run('.sealed'), `${stream}\n`);
});

/** Runs commands with stand-ins for aws (a directory is the bucket) and btrfs (keeps what it is given). */
function runWithStandIns(commands: string, bucketDirectory: string): ReturnType<typeof spawnSync> {
  const bin = join(directory, 'bin');
  mkdirSync(bin, { recursive: true });
  const work = join(directory, 'work');
  mkdirSync(work, { recursive: true });
  const aws = `#!/bin/sh\nfrom="${bucketDirectory}/\${3#s3://}"\nif [ "$4" = - ]; then cat "$from"; else cp "$from" "$4"; fi\n`;
  for (const [name, script] of [
    ['aws', aws],
    ['btrfs', '#!/bin/sh\ncat > received\n'],
  ] as const) {
    writeFileSync(join(bin, name), script);
    chmodSync(join(bin, name), 0o755);
  }
  return spawnSync('bash', ['--norc', '-euo', 'pipefail', '-c', commands], {
    cwd: work,
    env: { PATH: `${bin}:${process.env.PATH}` },
    encoding: 'utf8',
    // Bash takes a socket on its stdin for a remote shell, and then reads its start-up files.
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

for (const prefix of ['home/server', "it's my $HOME"]) {
  test(`with its commands the chunks under "${prefix}" become the stream again`, {
    skip: !hasJq && 'no jq here',
  }, () => {
    const bucketDirectory = join(directory, 'bucket');
    const store = (key: string, content: string) => {
      mkdirSync(dirname(join(bucketDirectory, 'my-backups', key)), { recursive: true });
      writeFileSync(join(bucketDirectory, 'my-backups', key), content);
    };
    const pieces = ['first piece, ', 'second piece, ', 'third piece'];
    const chunks = pieces.map((piece, index) => {
      const key = `${prefix}/subvol/data/full/chunk-20260101T020000Z-0000${index}.bin`;
      store(key, piece);
      return { key, sha256: createHash('sha256').update(piece).digest('hex') };
    });
    store(`${prefix}/subvol/NAME/current.json`, 'the pointer');
    store('KEY', JSON.stringify({ chunks }));
    const told = commandBlocks(recoveryText('my-backups', prefix));
    const [first = ''] = told;
    const fetch = told.find((block) => block.includes('btrfs receive')) ?? '';
    assert.equal(runWithStandIns(first, bucketDirectory).stdout, 'the pointer');
    const fetched = runWithStandIns(fetch, bucketDirectory);
    assert.equal(fetched.status, 0, String(fetched.stderr));
    assert.equal(readFileSync(join(directory, 'work', 'received'), 'utf8'), pieces.join(''));
  });
}
