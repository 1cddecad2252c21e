import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import type { RecoveryPlace } from '../../../lib/core/recovery/recovery-place.ts';
import { recoveryText } from '../../../lib/core/recovery/recovery-text.ts';
import { makeIdentity } from '../../support/age-keys.ts';
import { asScript, commandBlocks, scriptBlocks } from '../../support/recovery-blocks.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const directory = temporaryDirectory('recovery-text');
const hasJq = spawnSync('jq', ['--version']).status === 0;
const aws: RecoveryPlace = {
  bucket: 'my-backups',
  prefix: 'home/server',
  region: 'eu-central-1',
  endpoint: undefined,
  isPathStyle: false,
};
const elsewhere = { ...aws, endpoint: 'https://s3.example.net:9000', isPathStyle: true };
const text = recoveryText(aws);

test('the text names the bucket and the prefix, and nothing is left out', () => {
  for (const each of [text, recoveryText(elsewhere)]) {
    assert.match(each, /^ {5}bucket=my-backups\n {5}prefix=home\/server$/m);
    assert.match(each, /Below home\/server\/subvol\//);
    assert.doesNotMatch(each, /undefined|null,|\$\{[a-z]+\}|\n\n\n/);
    assert.ok(each.split('\n').every((line) => line.length <= 120));
  }
});

test('of another server than that of AWS the address, region and style are given', () => {
  assert.match(text, /command aws --region eu-central-1 "\$@"/);
  assert.doesNotMatch(text, /endpoint|addressing_style/);
  const other = recoveryText(elsewhere);
  assert.match(
    other,
    /command aws --endpoint-url https:\/\/s3\.example\.net:9000 --region eu-central-1 "\$@"/,
  );
  assert.doesNotMatch(other, /addressing_style/, 'path is what the aws command takes for an endpoint');
  assert.match(recoveryText({ ...elsewhere, isPathStyle: false }), /addressing_style virtual$/m);
  assert.match(recoveryText({ ...aws, isPathStyle: true }), /addressing_style path$/m);
});

test('every command in the text is one that bash understands, of a program that the text names', () => {
  for (const place of [aws, elsewhere]) {
    const blocks = [...scriptBlocks(recoveryText(place)), ...commandBlocks(recoveryText(place))];
    assert.ok(blocks.length >= 13);
    for (const block of blocks) {
      const checked = spawnSync('bash', ['--norc', '-n'], { input: block, encoding: 'utf8' });
      assert.equal(checked.stderr, '', block);
    }
  }
  const told = text.slice(0, text.indexOf('With recover.sh'));
  for (const program of ['aws', 'jq', 'btrfs', 'zstd', 'age']) {
    assert.ok(new RegExp(`\\b${program}\\b`).test(told), `${program} is among the commands one needs`);
  }
});

test('the thaw request is JSON that S3 takes', () => {
  const thaw = commandBlocks(text).find((block) => block.includes('restore-object')) ?? '';
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
  writeFileSync(
    join(work, 'manifest.json'),
    JSON.stringify({
      codec: { compress: 'zstd', encrypt: 'age' },
      chunks,
      sealed: sealed.toString('base64'),
    }),
  );
  const functions = commandBlocks(text, { name: '', target: '', identity }).find((block) =>
    block.includes('decode()'),
  );
  const run = (command: string) =>
    execFileSync('bash', ['--norc', '-euo', 'pipefail', '-c', `${functions}\n${command} manifest.json`], {
      cwd: work,
      encoding: 'utf8',
    });
  assert.equal(run('digest'), `${stream}\n`);
  run('checked');
  assert.equal(readFileSync(join(work, 'stream'), 'utf8'), 'first frame, second frame, third frame');
  writeFileSync(join(work, 'chunk-1.bin'), encode('another frame'));
  assert.throws(() => run('checked'));
});

let worlds = 0;

/** Follows the text with stand-ins for aws (a directory is the bucket) and btrfs (keeps what it is given). */
function follow(place: RecoveryPlace, bucketDirectory: string) {
  const work = join(directory, `work-${worlds++}`);
  const bin = join(directory, 'bin');
  for (const path of [work, bin]) mkdirSync(path, { recursive: true });
  const standIns = {
    aws: `while [[ $1 == --* ]]; do shift 2; done; [[ $1 == s3 && $2 == cp ]] || exit 0
      from="${bucketDirectory}/\${3#s3://}"; if [[ $4 == - ]]; then cat "$from"; else cp "$from" "$4"; fi`,
    btrfs: 'if [[ $1 == receive ]]; then cat > "$2/snapshot"; else echo "$@" >> btrfs; fi',
  };
  for (const [name, script] of Object.entries(standIns)) {
    writeFileSync(join(bin, name), `#!/bin/bash\n${script}\n`);
    chmodSync(join(bin, name), 0o755);
  }
  const filledIn = { name: 'data', directory: join(work, 'dir'), target: '/restored' };
  const blocks = commandBlocks(recoveryText(place), filledIn).filter(
    (block) => !/s3api|ls --recursive/.test(block),
  );
  const { stderr } = spawnSync('bash', ['--norc', '-u', '-c', asScript(blocks)], {
    cwd: work,
    env: { PATH: `${bin}:${process.env.PATH}` },
    encoding: 'utf8',
    // Bash takes a socket on its stdin for a remote shell, and then reads its start-up files.
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const read = (name: string) =>
    existsSync(join(work, 'dir', name)) ? readFileSync(join(work, 'dir', name), 'utf8') : '';
  return { stderr, read };
}

/** Puts a full and an incremental backup into a directory, of three chunks each. */
function store(place: RecoveryPlace): string {
  const bucketDirectory = join(directory, `bucket-${worlds++}`);
  const put = (key: string, content: string) => {
    const path = join(bucketDirectory, place.bucket, key);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  };
  let parent: string | null = null;
  for (const [kind, timestamp] of [
    ['full', '20260101T020000Z'],
    ['incremental', '20260108T020000Z'],
  ] as const) {
    const root = `${place.prefix}/subvol/data/${kind}`;
    const chunks = ['first', 'second', 'third'].map((piece, index) => {
      const key = `${root}/chunk-${timestamp}-0000${index}.bin`;
      put(key, `${kind} ${piece}, `);
      return { key, sha256: createHash('sha256').update(`${kind} ${piece}, `).digest('hex') };
    });
    const key = `${root}/manifest-${timestamp}.json`;
    put(key, JSON.stringify({ kind, created_at: timestamp, parent_manifest: parent, chunks }));
    put(`${place.prefix}/subvol/data/current.json`, JSON.stringify({ manifest_key: key }));
    parent = key;
  }
  return bucketDirectory;
}

const [full, incremental] = ['manifest-20260101T020000Z', 'manifest-20260108T020000Z'];

for (const prefix of ['home/server', "it's my $HOME"]) {
  test(`with its commands the chunks under "${prefix}" become the streams again, in order`, {
    skip: !hasJq && 'no jq here',
  }, () => {
    for (const place of [aws, elsewhere]) {
      const { stderr, read } = follow({ ...place, prefix }, store({ ...place, prefix }));
      assert.doesNotMatch(stderr, /block \d+: [^0]/);
      assert.equal(read('chain'), `${full}.json\n${incremental}.json\n`);
      assert.equal(read(`${full}/snapshot`), 'full first, full second, full third, ');
      assert.equal(
        read(`${incremental}/snapshot`),
        'incremental first, incremental second, incremental third, ',
      );
      assert.match(read('btrfs'), new RegExp(`^subvolume snapshot ${incremental}/snapshot /restored$`, 'm'));
    }
  });
}

test('a chunk that is not right keeps the rest from btrfs receive', { skip: !hasJq && 'no jq here' }, () => {
  const bucketDirectory = store(aws);
  const chunk = `${aws.prefix}/subvol/data/incremental/chunk-20260108T020000Z-00001.bin`;
  writeFileSync(join(bucketDirectory, aws.bucket, chunk), 'changed');
  const { read } = follow(aws, bucketDirectory);
  assert.equal(read(`${full}/snapshot`), 'full first, full second, full third, ');
  assert.equal(read(`${incremental}/snapshot`), '');
});
