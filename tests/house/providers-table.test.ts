/** docs/providers.md: its table is of the habits that are played now, and has a row for each provider. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { habitsDigest, renderTable, withTable } from '../../testing/harness/providers/table.ts';
import { repositoryRoot } from '../../testing/harness/test-directory.ts';
import { providerNames } from '../../testing/s3-server/habits/providers.ts';

const document = readFileSync(join(repositoryRoot, 'docs/providers.md'), 'utf8');

test('the table is up to date: make providers-table writes it anew', () => {
  const [, digest] = /^<!-- begin: make providers-table, habits (\w+) -->$/m.exec(document) ?? [];
  assert.equal(digest, habitsDigest(), 'the habits have changed');
  const [, table = ''] = document.split('<!-- begin');
  const rows = [...table.matchAll(/^\| `(\w+)` \|/gm)].map(([, provider]) => provider);
  assert.deepEqual(rows, providerNames);
});

test('a step that failed is a no with its line, and what follows a backup that failed is empty', () => {
  const said = { setting: 'SSE=none', line: 'refused; set SSE=none' };
  const text = renderTable([
    {
      provider: 'minio',
      settings: [said],
      failures: { prune: 'it | failed' },
      notices: ['the server is odd'],
    },
    { provider: 'nginx', settings: [], failures: { backup: 'too large' }, notices: [] },
  ]);
  assert.match(text, /^\| `minio` \| `SSE=none` \| yes \| yes \| yes \| no \| yes \| 1 \|$/m);
  assert.match(text, /^\| `nginx` \| {2}\| no \| {2}\| {2}\| {2}\| {2}\| {2}\|$/m);
  assert.match(text, /^- `minio` without `SSE=none`: "refused; set SSE=none"$/m);
  assert.match(text, /^- `minio`, prune: "it \\\| failed"$/m);
  const twice = withTable(withTable(document, []), []);
  assert.equal(twice, withTable(document, []), 'the marks stay');
});
