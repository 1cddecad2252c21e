import assert from 'node:assert/strict';
import { test } from 'node:test';
import { planMemory, warnOfDownloadMemory, warnOfUploadMemory } from '../../lib/stage/memory-need.ts';
import { settingsOf } from '../support/settings.ts';

const mib = 2 ** 20;
const program = Number(process.versions.node.split('.')[0]) > 20 ? 145 : 120;
const limit = (ofMib: number) => ({ bytes: ofMib * mib, whose: 'this machine' });

/** What is warned of. */
async function warningsOf(
  warn: (context: Parameters<typeof warnOfUploadMemory>[0]) => Promise<unknown>,
  values: Readonly<Record<string, string>> = {},
): Promise<readonly string[]> {
  const warnings: string[] = [];
  const log = { debug: () => undefined, info: () => undefined, warn: (line: string) => warnings.push(line) };
  await warn({ settings: settingsOf({ S3_BUCKET: 'backups', ...values }), log });
  return warnings;
}

test('an upload that may not fit is reported with settings that do', async () => {
  const [line, ...more] = await warningsOf((context) => warnOfUploadMemory(context, limit(150 + program)));
  assert.equal(
    line,
    `a backup takes up to ${160 + program} MiB of memory, but this machine has ${150 + program} MiB: it may be killed; settings that fit: CONCURRENCY=3, or PART_SIZE=26MiB; with another PART_SIZE or CHUNK_SIZE an unfinished upload begins again`,
  );
  assert.deepEqual(more, []);
  const fitting = { PART_SIZE: '26MiB' };
  assert.deepEqual(
    await warningsOf((context) => warnOfUploadMemory(context, limit(150 + program)), fitting),
    [],
  );
  const [least] = await warningsOf((context) => warnOfUploadMemory(context, limit(100)));
  assert.match(
    least ?? '',
    new RegExp(`; ${26 + program} MiB are needed at least: CHUNK_SIZE=48GiB PART_SIZE=5MiB`),
  );
});

test('a download that may not fit is reported with the one setting that changes it', async () => {
  const warn = (slotMib: number, ofMib: number) =>
    warningsOf((context) => warnOfDownloadMemory(context, 'this restore', slotMib * mib, limit(ofMib)));
  assert.deepEqual(await warn(64, 400 + program), []);
  const [line] = await warn(64, 180 + program);
  assert.match(line ?? '', /^this restore takes up to .*; a setting that fits: CONCURRENCY=1$/);
  assert.match(
    (await warn(512, 400 + program))[0] ?? '',
    /use a machine with more: the parts .* have 512 MiB$/,
  );
});

test('a plan says how much it takes when there is something to send', async () => {
  const settings = settingsOf({
    S3_BUCKET: 'backups',
    PART_SIZE: '5MiB',
    CHUNK_SIZE: '1GiB',
    CONCURRENCY: '2',
  });
  const log = { debug: () => undefined, info: () => undefined, warn: () => undefined };
  const plan = { reason: '', snapshotPath: undefined };
  const need = (kind: 'full' | 'none') => planMemory({ settings, log }, [['data', { ...plan, kind }]]);
  assert.equal(await need('full'), (15 + program) * mib);
  assert.equal(await need('none'), undefined);
  const encoded = { ...settings, COMPRESS: 'zstd:19' };
  const bytes = await planMemory({ settings: encoded, log }, [['data', { ...plan, kind: 'full' as const }]]);
  assert.ok(bytes !== undefined && bytes > (30 + 190 + program) * mib, `${bytes}`);
});
