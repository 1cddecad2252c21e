/** The alerts and the dashboard ask for metrics that there are, and docs/monitoring.md names all of them. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { metricNames } from '../../lib/core/watch/metrics.ts';
import { repositoryRoot } from '../../testing/harness/test-directory.ts';

const textOf = (path: string) => readFileSync(join(repositoryRoot, path), 'utf8');
const asked = (text: string) => [...new Set(text.match(/\bbtrfs_to_s3_\w+/g))];

for (const path of ['config/prometheus/alerts.yml', 'config/prometheus/dashboard.json']) {
  test(`${path} asks for metrics that there are`, () => {
    const names = asked(textOf(path));
    assert.ok(names.length >= 6);
    assert.deepEqual(
      names.filter((name) => !metricNames.includes(name)),
      [],
    );
  });
}

test('the dashboard is a document that Grafana imports: panels with places, and a data source to choose', () => {
  const { panels, templating, uid } = JSON.parse(textOf('config/prometheus/dashboard.json'));
  assert.equal(uid, 'btrfs-to-s3');
  assert.equal(templating.list[0].type, 'datasource');
  assert.ok(panels.length >= 8);
  for (const { gridPos, targets } of panels) {
    assert.ok(gridPos.x + gridPos.w <= 24);
    assert.match(targets[0].expr, /btrfs_to_s3_/);
  }
});

test('docs/monitoring.md names every metric and every alert', () => {
  const text = textOf('docs/monitoring.md');
  for (const name of metricNames) assert.ok(text.includes(`\`${name.replace('btrfs_to_s3_', '')}\``), name);
  for (const [, alert = ''] of textOf('config/prometheus/alerts.yml').matchAll(/- alert: (\w+)/g)) {
    assert.ok(text.includes(`\`${alert}\``), alert);
  }
});
