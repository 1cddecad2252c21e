/** What stands in a terminal while requests fail, and afterwards. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startInTerminal } from '../../testing/harness/processes/terminal.ts';
import { until } from './running-script.ts';
import { createWorld } from './world.ts';

const mib = 2 ** 20;

test('an outage while a bar is up leaves one warning, one line when it is over, and the whole result', async (t) => {
  const world = await createWorld(t);
  await writeFile(join(world.data, 'random'), randomBytes(20 * mib));
  await world.backup();
  const config = await world.settingsFile();
  const slow = { fault: 'slow', bytesPerSecond: mib, operation: 'GetObject', key: '*.bin' } as const;
  world.server.faults.set([slow]);
  const terminals = [60, 100, 200].map((columns) => {
    const command = `exec scripts/tsx.sh scripts/verify.ts --config ${config} --deep`;
    const terminal = startInTerminal(command, { columns, rows: 24 }, { AWS_EC2_METADATA_DISABLED: 'true' });
    world.cleanUp(async () => {
      terminal.child.kill('SIGKILL');
      await terminal.ended;
    });
    return { ...terminal, columns };
  });
  const all = async (what: string, pattern: RegExp) =>
    until(what, async () => {
      const screens = await Promise.all(terminals.map(({ lines }) => lines()));
      return screens.every((lines) => pattern.test(lines.join('\n')));
    });
  await all('the bars are up', /%.*left/);
  world.server.faults.set([{ fault: 'reset-before' }]);
  await all('the state of the outage', /^waiting for the server for .*/m);
  await sleep(1500);
  for (const { lines, columns } of terminals) {
    const screen = await lines();
    // No line at the bottom is longer than the terminal is wide, and the transfer's is still there.
    for (const line of screen.slice(-2)) assert.ok(line.length < columns, `${columns}: ${line}`);
    assert.equal(screen.filter((line) => /^waiting for the server/.test(line)).length, 1);
    assert.equal(screen.filter((line) => /^read data .*%/.test(line)).length, 1);
  }
  world.server.faults.clear();
  for (const { lines, ended } of terminals) {
    assert.equal(await ended, 0);
    const screen = await lines();
    const text = screen.join('\n');
    assert.equal(screen.filter((line) => /trying again for up to/.test(line)).length, 1, text);
    assert.equal(screen.filter((line) => /the server answers again, after \d+s$/.test(line)).length, 1, text);
    assert.doesNotMatch(text, /waiting for the server|read data .*%|█/);
    assert.match(screen.at(-1) ?? '', /sound/, text);
    assert.equal(screen.length, 3, text);
  }
});
