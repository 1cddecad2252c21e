import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exposition } from '../../../lib/core/watch/exposition.ts';
import { metricNames, metricsText } from '../../../lib/core/watch/metrics.ts';
import { goodRun, healthy, wellKnown } from './samples.ts';

/** Values by name and labels. */
function valuesOf(text: string): ReadonlyMap<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  );
}

const of = (name: string, label = 'subvolume="data"') =>
  `btrfs_to_s3_${name}{bucket="my-backups",prefix="host-1",${label}}`;

test('a host that is well has every metric, each with its help and type', () => {
  const text = metricsText(wellKnown);
  for (const name of metricNames) {
    assert.match(text, new RegExp(`^# HELP ${name} [A-Z1].*\\.?$`, 'm'));
    assert.match(text, new RegExp(`^# TYPE ${name} gauge$`, 'm'));
    assert.match(text, new RegExp(`^${name}\\{.*\\} [\\d.]+$`, 'm'));
  }
  const values = valuesOf(text);
  for (const [name, value] of [
    [of('newest_backup_timestamp_seconds'), Date.UTC(2026, 10, 28, 2) / 1000],
    [of('backup_due_timestamp_seconds'), Date.UTC(2026, 11, 5, 2) / 1000],
    [of('chain_length'), 3],
    [of('chain_restorable'), 1],
    [of('stored_bytes'), 9_002_000],
    [of('storage_cost_dollars_per_month'), 1.5],
    [of('backup_rate_bytes_per_second'), 250_000],
    [of('backup_last_success_timestamp_seconds'), Date.UTC(2026, 10, 28, 3) / 1000],
    [of('verify_due_timestamp_seconds'), Date.UTC(2026, 11, 28, 3) / 1000],
    [of('verify_sound'), 1],
    [of('drill_sound'), 1],
    [of('drill_due_timestamp_seconds'), Date.UTC(2026, 11, 20, 1) / 1000],
    [of('last_run_exit_code', 'command="verify"'), 0],
    [of('last_run_duration_seconds', 'command="backup"'), 3600],
  ] as const) {
    assert.equal(values.get(name), value, name);
  }
});

test('names follow the conventions of Prometheus: base units, at the end', () => {
  for (const name of metricNames) {
    assert.match(name, /^btrfs_to_s3_[a-z0-9_]+$/);
    assert.doesNotMatch(name, /minutes|hours|days|milli|kilo|mega|_ms$/);
    if (/timestamp|duration/.test(name)) assert.match(name, /_seconds$/);
  }
});

test('what is not known has no value, and what is wrong has 0', () => {
  const broken = { ...healthy, why_not: 'chunk x is missing', dollars_per_month: null, drill: null };
  const damaged = goodRun('verify', 'sound');
  const run = { ...damaged.subvolumes.data, outcome: 'damaged' as const, ok_at: null, problem: '1 finding' };
  const values = valuesOf(
    metricsText({
      ...wellKnown,
      health: { data: broken, new: { ...healthy, newest: null, chain: null, due: null, drill: null } },
      runs: [
        { ...damaged, exit_code: 4, subvolumes: { data: { finished_at: '', published: null, ...run } } },
      ],
    }),
  );
  assert.equal(values.get(of('chain_restorable')), 0);
  assert.equal(values.get(of('verify_sound')), 0);
  assert.equal(values.get(of('last_run_exit_code', 'command="verify"')), 4);
  for (const name of ['storage_cost_dollars_per_month', 'drill_sound', 'verify_due_timestamp_seconds']) {
    assert.equal(values.has(of(name)), false, name);
  }
  assert.equal(values.has(of('chain_restorable', 'subvolume="new"')), false, 'nothing was published yet');
  assert.equal(values.get(of('drill_due_timestamp_seconds')), Date.UTC(2026, 11, 1, 2) / 1000);
});

test('nothing is due that is never done', () => {
  const text = metricsText({ ...wellKnown, verifyEverySeconds: undefined, drillEverySeconds: undefined });
  assert.doesNotMatch(text, /verify_due|drill_due/);
});

test('labels and help are escaped as the format wants', () => {
  const text = exposition([
    { name: 'a', help: 'one\\two\nthree', samples: [{ labels: { b: 'x"y\\z\n' }, value: 1 }] },
    { name: 'none', help: 'nothing', samples: [] },
  ]);
  assert.equal(text, '# HELP a one\\\\two\\nthree\n# TYPE a gauge\na{b="x\\"y\\\\z\\n"} 1\n');
});
