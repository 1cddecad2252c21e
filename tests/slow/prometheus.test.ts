/** Debian's Prometheus scrapes METRICS_FILE through node_exporter, and each alert fires where it should, and nowhere else. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { metricNames, metricsText } from '../../lib/core/watch/metrics.ts';
import { writeMetricsFile } from '../../lib/edge/files/watch-files.ts';
import { freePorts } from '../../testing/harness/processes/free-port.ts';
import { repositoryRoot } from '../../testing/harness/test-directory.ts';
import { goodRun, healthy, wellKnown } from '../core/watch/samples.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const rules = join(repositoryRoot, 'config/prometheus/alerts.yml');
const alerts = [...readFileSync(rules, 'utf8').matchAll(/- alert: (\w+)/g)].map((match) => match[1] ?? '');
const programs = ['promtool', 'prometheus', 'prometheus-node-exporter'];
const isMissing = programs.some((program) => spawnSync('which', [program]).status !== 0);
const skip = isMissing && 'apt-get install prometheus prometheus-node-exporter';
const directory = temporaryDirectory('prometheus');

test('promtool finds no fault with the alerts', { skip }, () => {
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'rules', rules], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  assert.match(stdout, new RegExp(`SUCCESS: ${alerts.length} rules found`));
});

test('promtool finds no fault with the metrics: names, units, help', { skip }, () => {
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], {
    input: metricsText(wellKnown),
    encoding: 'utf8',
  });
  assert.deepEqual([status, stdout, stderr], [0, '', '']);
});

/** A host of which everything is bad, beside one that is well now. */
function textsNow(): readonly string[] {
  const now = Date.now();
  const ago = (days: number) => new Date(now - days * 86_400_000).toISOString();
  const runAt = (command: string, days: number, exit_code: number, outcome: 'published' | 'sound') => {
    const run = goodRun(command, outcome);
    const data = run.subvolumes.data;
    assert.ok(data);
    const times = { started_at: ago(days + 0.1), finished_at: ago(days) };
    return { ...run, ...times, exit_code, subvolumes: { data: { ...data, ok_at: ago(days) } } };
  };
  const verify = runAt('verify', 60, 4, 'sound');
  const found = verify.subvolumes.data;
  const bad = {
    ...wellKnown,
    prefix: 'bad',
    runs: [
      runAt('backup', 15, 1, 'published'),
      { ...verify, subvolumes: { data: { ...found, outcome: 'damaged' as const } } },
    ],
    health: {
      data: {
        ...healthy,
        why_not: 'chunk x is missing',
        due: { kind: 'full' as const, at: ago(2) },
        drill: { at: ago(60), created_at: '20261101T000000Z', is_sound: false },
      },
    },
  };
  const well = {
    ...wellKnown,
    prefix: 'well',
    // A verify that waits for a thaw, a prune that waits for a backup, a drill for another one, and a backup that was stopped, need no one.
    runs: [
      runAt('backup', 0, 143, 'published'),
      runAt('verify', 0, 5, 'sound'),
      runAt('prune', 0, 3, 'sound'),
      runAt('drill', 0, 3, 'sound'),
    ],
    health: {
      data: {
        ...healthy,
        due: { kind: 'full' as const, at: ago(-2) },
        drill: { ...healthy.drill, at: ago(1) },
      },
    },
  };
  return [bad, well].map((known) => metricsText(known as typeof wellKnown));
}

test('Prometheus scrapes the file of node_exporter, and each alert fires for the host that is bad', {
  skip,
}, async (t) => {
  const textfiles = join(directory, 'textfiles');
  mkdirSync(textfiles);
  // Two settings files on one host: the labels keep them apart.
  for (const [index, text] of textsNow().entries()) {
    await writeMetricsFile(join(textfiles, `backup-${index}.prom`), text);
  }
  const [exporter, port] = await freePorts(2);
  start(t, 'prometheus-node-exporter', [
    '--collector.disable-defaults',
    '--collector.textfile',
    `--collector.textfile.directory=${textfiles}`,
    `--web.listen-address=127.0.0.1:${exporter}`,
  ]);
  // As they are, but for the hour that some of them wait.
  const now = readFileSync(rules, 'utf8').replaceAll('for: 1h', 'for: 0s');
  writeFileSync(join(directory, 'alerts.yml'), now);
  writeFileSync(
    join(directory, 'prometheus.yml'),
    [
      'global: { scrape_interval: 1s, evaluation_interval: 1s }',
      `rule_files: ['${join(directory, 'alerts.yml')}']`,
      `scrape_configs: [{ job_name: node, static_configs: [{ targets: ['127.0.0.1:${exporter}'] }] }]`,
    ].join('\n'),
  );
  start(t, 'prometheus', [
    `--config.file=${join(directory, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(directory, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ]);
  const ask = async (path: string) => {
    const answer = await fetch(`http://127.0.0.1:${port}/api/v1/${path}`).catch(() => undefined);
    return answer?.ok ? ((await answer.json()) as Answer).data : undefined;
  };
  const firing = async () =>
    ((await ask('alerts'))?.alerts ?? [])
      .filter(({ state }) => state === 'firing')
      .map(({ labels }) => `${labels.prefix} ${labels.alertname}`);
  let fired: readonly string[] = [];
  for (let tries = 0; tries < 120 && new Set(fired).size < alerts.length; tries++) {
    await sleep(500);
    fired = await firing();
  }
  assert.deepEqual([...new Set(fired)].sort(), alerts.map((name) => `bad ${name}`).sort());
  const stored = (await ask('label/__name__/values')) as unknown as readonly string[];
  assert.deepEqual(
    metricNames.filter((name) => !stored.includes(name)),
    [],
    'all of them arrived',
  );
  const errors = await ask('query?query=node_textfile_scrape_error');
  assert.equal(errors?.result?.[0]?.value[1], '0');
});

interface Answer {
  readonly data: {
    readonly alerts?: readonly {
      readonly state: string;
      readonly labels: Readonly<Record<string, string>>;
    }[];
    readonly result?: readonly { readonly value: readonly [number, string] }[];
  };
}

function start(t: TestContext, program: string, args: readonly string[]): void {
  const child = spawn(program, args, { stdio: 'ignore', cwd: directory });
  const gone = new Promise((resolve) => child.once('close', resolve));
  t.after(async () => {
    child.kill('SIGTERM');
    await gone;
  });
}
