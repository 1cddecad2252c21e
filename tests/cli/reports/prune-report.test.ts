import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type PruneReport,
  planText,
  pruneDocument,
  versioningNotice,
} from '../../../lib/cli/reports/prune-report.ts';
import type { PrunePlan } from '../../../lib/core/plan/prune/prune-plan.ts';
import { GIB } from '../../../lib/core/units.ts';

const object = (key: string, sizeBytes: number) => ({
  key,
  sizeBytes,
  etag: '',
  storageClass: 'DEEP_ARCHIVE',
  modifiedAt: undefined,
});

const plan: PrunePlan = {
  subvolume: 'a',
  blocked: undefined,
  generations: [
    {
      key: 'p/subvol/a/full/manifest-20260101T020000Z.json',
      createdAt: '20260101T020000Z',
      backups: 26,
      objects: 60,
      bytes: 1500 * GIB,
      action: 'remove',
      reason: 'beyond the newest 2',
      charge: { gibMonths: 1234.5, daysLeft: 17 },
    },
  ],
  broken: [],
  orphans: [
    {
      manifestKey: 'p/subvol/a/incremental/manifest-20260203T020000Z.json',
      objects: [object('one', GIB), object('two', GIB)],
      uploads: [{ key: 'one', uploadId: 'u', initiatedAt: undefined }],
      action: 'remove',
      reason: 'old',
      charge: { gibMonths: 4, daysLeft: 60 },
    },
  ],
  removals: [],
};

const report = (versioning: PruneReport['survey']['versioning']): PruneReport => ({
  bucket: { name: 'b', prefix: 'p' },
  keep: 2,
  survey: { versioning, plans: [plan], uploadsProblem: undefined },
  outcomes: undefined,
});

test('a plan shows generations, orphans, and what all of it frees and still costs', () => {
  const lines = planText(report('off'), false).split('\n');
  assert.match(lines[0] ?? '', /^SUBVOLUME +GENERATION +BACKUPS +OBJECTS +SIZE +ACTION +CHARGED +WHY$/);
  assert.match(
    lines[1] ?? '',
    /^a +2026-01-01T02:00:00Z +26 +60 +1\.46 TiB +remove +1234\.50 GiB-months \(17 days left\) +beyond the newest 2$/,
  );
  assert.match(
    lines[4] ?? '',
    /^a +incremental\/manifest-20260203T020000Z\.json +2 +2\.00 GiB +1 +remove +4\.00 GiB-months \(60 days left\) +old$/,
  );
  assert.deepEqual(lines.slice(-2), [
    'to remove: 1 generation, 62 objects, 1 unfinished upload; frees 1.47 TiB; S3 still charges 1238.50 GiB-months for them',
    'nothing was changed; APPLY=1 (--apply) does it',
  ]);
});

test('the document has of orphans what docs/json.md names', () => {
  assert.deepEqual(pruneDocument(report('off')).subvolumes[0]?.orphans, [
    {
      manifest_key: 'p/subvol/a/incremental/manifest-20260203T020000Z.json',
      objects: 2,
      bytes: 2 * GIB,
      uploads: 1,
      action: 'remove',
      reason: 'old',
      charged_days: 60,
      charged_gib_months: 4,
    },
  ]);
});

test('in a bucket that keeps versions nothing is said to be freed, and the way out is named', () => {
  assert.match(planText(report('enabled'), false), /; hides 1\.47 TiB/);
  for (const versioning of ['enabled', 'suspended'] as const)
    assert.match(versioningNotice(versioning) ?? '', /NoncurrentVersionExpiration/);
  for (const versioning of ['off', 'unknown'] as const) assert.equal(versioningNotice(versioning), undefined);
});

test('when there is nothing to do, that is all that is said below the table', () => {
  const idle = { ...plan, generations: [], orphans: [] };
  const survey = { versioning: 'off' as const, plans: [idle], uploadsProblem: undefined };
  assert.equal(planText({ ...report('off'), survey }, false), 'nothing to remove');
});

test('a subvolume that is not backed up any more is named with the way to be rid of it, where SUBVOLUMES is known', () => {
  const line = /^a is not in SUBVOLUMES: its last backups stay until make prune RETIRE=a$/m;
  const text = (more: Partial<PruneReport>) => planText({ ...report('off'), ...more }, false);
  assert.match(text({ selected: ['b'] }), line);
  assert.doesNotMatch(text({ selected: ['a', 'b'] }), line);
  assert.doesNotMatch(text({ selected: undefined }), line);
  assert.doesNotMatch(text({ selected: ['b'], retired: 'a' }), line);
  assert.equal(pruneDocument({ ...report('off'), retired: 'a' }).retired, 'a');
});
