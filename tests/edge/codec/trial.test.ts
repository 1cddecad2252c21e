import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { tryEncoding } from '../../../lib/edge/codec/trial.ts';
import { makeIdentity, makeSshKey } from '../../support/age-keys.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const directory = temporaryDirectory('trial');
const { recipient } = await makeIdentity(directory, 'identity');
const ssh = await makeSshKey(directory, 'ssh', 'ed25519');
const path = process.env.PATH;
after(() => {
  process.env.PATH = path;
});
const both = { zstdLevel: 3, recipients: [recipient, ssh] };

test('the programs of this host do what they should, at every level and for all recipients', async () => {
  process.env.PATH = path;
  for (const zstdLevel of [1, 3, 19]) await tryEncoding({ ...both, zstdLevel });
  await tryEncoding({ zstdLevel: undefined, recipients: [ssh] });
  await tryEncoding({ zstdLevel: 1, recipients: [] });
  await tryEncoding({ zstdLevel: undefined, recipients: [] });
});

for (const [what, program, script, says] of [
  [
    'a zstd that is too old for an option',
    'zstd',
    'case "$*" in *--version*) echo "zstd v1.3.3";; *) echo "Incorrect parameters" >&2; exit 1;; esac',
    /^zstd 1\.3\.3 of this host cannot make backups: Incorrect parameters$/,
  ],
  [
    'a zstd that loses bytes',
    'zstd',
    'case "$*" in *-d*) /usr/bin/zstd "$@" | head -c 10;; *) exec /usr/bin/zstd "$@";; esac',
    /^zstd .* cannot make backups: it exits 0, but what it writes cannot be decoded$/,
  ],
  [
    'an age that passes over a recipient',
    'age',
    `case "$*" in *--version*) echo 1.1.1;; *) exec /usr/bin/age -e -r ${recipient};; esac`,
    /^age 1\.1\.1 of this host cannot make backups: it exits 0, but/,
  ],
  [
    'an age that encrypts nothing',
    'age',
    'case "$*" in *--version*) echo 1.1.1;; *) exec cat;; esac',
    /^age 1\.1\.1 of this host cannot make backups: it exits 0, but/,
  ],
] as const) {
  test(`${what} is found before anything depends on it`, async () => {
    const bin = join(directory, what);
    mkdirSync(bin);
    writeFileSync(join(bin, program), `#!/bin/bash\n${script}\n`, { mode: 0o755 });
    process.env.PATH = `${bin}:${path}`;
    await assert.rejects(tryEncoding(both), { message: says });
  });
}
