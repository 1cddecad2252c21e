import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BottomLine } from '../../lib/cli/bottom-lines.ts';
import { reportOutages } from '../../lib/cli/outage-report.ts';

function reporter(hasTerminal: boolean) {
  const said: string[] = [];
  const shown = new Set<BottomLine>();
  const time = { ms: 0 };
  const log = {
    debug: () => undefined,
    info: (text: string) => said.push(`info ${text}`),
    warn: (text: string) => said.push(`warn ${text}`),
  };
  const show = (line: BottomLine) => {
    shown.add(line);
    return () => {
      shown.delete(line);
    };
  };
  const options = { log, nowMs: () => time.ms, show: hasTerminal ? show : undefined };
  return { report: reportOutages(options as Parameters<typeof reportOutages>[0]), said, shown, time };
}

const refused = new Error('the connection was refused');

test('an outage is one warning, a line at the bottom while it lasts, and one line when it is over', () => {
  const { report, said, shown, time } = reporter(true);
  report.onRetry('list', refused, 1, 500, 1_800_000);
  report.onRetry('store part 1', refused, 1, 500, 1_800_000);
  for (let attempt = 2; attempt < 20; attempt += 1)
    report.onRetry('store part 1', refused, attempt, 1000, 1_800_000);
  time.ms = 65_000;
  assert.deepEqual(
    [...shown].map((line) => line(80)),
    ['waiting for the server for 1m 05s: cannot store part 1: the connection was refused'],
  );
  report.onSettled(true);
  assert.equal(shown.size, 1);
  report.onSettled(true);
  assert.equal(shown.size, 0);
  assert.deepEqual(said, [
    'warn cannot list: the connection was refused; trying again for up to 30m 00s',
    'info the server answers again, after 1m 05s',
  ]);
});

test('without a terminal a reminder comes every five minutes', () => {
  const { report, said, time } = reporter(false);
  for (let attempt = 1; attempt <= 11; attempt += 1) {
    report.onRetry('list', refused, attempt, 60_000, 1_800_000);
    time.ms += 60_000;
  }
  assert.deepEqual(said.slice(1), [
    'warn 1 request still failing after 5m 00s: cannot list: the connection was refused',
    'warn 1 request still failing after 10m 00s: cannot list: the connection was refused',
  ]);
});

test('a request that is given up takes the line away, and says nothing of an answer', () => {
  const { report, said, shown } = reporter(true);
  report.onRetry('list', refused, 1, 500, 1_800_000);
  report.onSettled(false);
  assert.equal(shown.size, 0);
  assert.equal(said.length, 1);
});
