import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { runNotifyCommand } from '../../../lib/edge/notify/notify-command.ts';
import { changeEnvironment } from '../../support/environment.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const directory = temporaryDirectory('notify');
const notice = { variables: { RESULT: 'failure', MESSAGE: `it's "full"; $(reboot)` }, text: 'one\ntwo' };

test('it gets variables and text as they are, and no credential', async (t) => {
  changeEnvironment(t, { AWS_SECRET_ACCESS_KEY: 'not-for-children' });
  const file = join(directory, 'out');
  await runNotifyCommand(`{ cat; echo "$RESULT: $MESSAGE"; env; } > ${file}`, notice);
  const text = readFileSync(file, 'utf8');
  assert.ok(text.startsWith(`one\ntwo\nfailure: it's "full"; $(reboot)\n`), text);
  assert.doesNotMatch(text, /not-for-children/);
});

test('a password in it is no argument that others can read, and what it starts does not inherit it', async () => {
  const file = join(directory, 'seen');
  await runNotifyCommand(`: pass-word; { tr '\\0' ' ' < /proc/$$/cmdline; env; } > ${file}`, notice);
  const seen = readFileSync(file, 'utf8');
  assert.match(seen, /^\/bin\/sh -c [^\n]*eval/);
  assert.doesNotMatch(seen, /pass-word/);
});

test('its failure has its last words', async () => {
  await assert.rejects(runNotifyCommand('echo no mailer >&2; exit 3', notice), {
    message: 'NOTIFY_COMMAND failed with exit code 3',
    childOutput: 'no mailer',
  });
});

test('one that does not read, or leaves something running, is no failure', async () => {
  await runNotifyCommand('sleep 0.3 & exit 0', { ...notice, text: 'x'.repeat(1_000_000) });
});

test('one that does not end is killed, with what it started', async () => {
  const file = join(directory, 'pid');
  await assert.rejects(
    runNotifyCommand(`sleep 60 & echo $! > ${file}; wait`, notice, 300),
    /NOTIFY_COMMAND did not end within 0\.3 s and was killed/,
  );
  const pid = Number(readFileSync(file, 'utf8'));
  // It may take the kernel a moment to say so.
  for (let tries = 0; tries < 100 && isAlive(pid); tries++) await new Promise((done) => setTimeout(done, 20));
  assert.equal(isAlive(pid), false);
});

function isAlive(pid: number): boolean {
  try {
    // A zombie that no process waits for counts as gone.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
