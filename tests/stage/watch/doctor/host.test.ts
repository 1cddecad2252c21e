/** What is judged of the host, where the host of the tests cannot be made to have it. */
import assert from 'node:assert/strict';
import { symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { ToolError } from '../../../../lib/core/errors.ts';
import { judgeRoom } from '../../../../lib/core/plan/room-verdict.ts';
import { GIB, MIB } from '../../../../lib/core/units.ts';
import { activeSwapFiles, parseSwaps } from '../../../../lib/edge/btrfs/swap-files.ts';
import { configIn, isSameFile, parseProperties } from '../../../../lib/edge/process/systemd-state.ts';
import { fine } from '../../../../lib/stage/watch/doctor/check.ts';
import { lookAtNode } from '../../../../lib/stage/watch/doctor/host/machine.ts';
import { lookAtMemory } from '../../../../lib/stage/watch/doctor/host/resources.ts';
import { instanceOf, judgeTimer, timerCheck } from '../../../../lib/stage/watch/doctor/host/timer.ts';
import { runChecks } from '../../../../lib/stage/watch/doctor/run-checks.ts';
import { linesOf } from '../../../support/doctor.ts';
import { settingsOf } from '../../../support/settings.ts';
import { temporaryDirectory } from '../../../support/temporary-directory.ts';

const directory = temporaryDirectory('doctor-host');
const { signal } = new AbortController();

test('a check that fails, or never ends, hides no other, and the findings keep their order', async () => {
  const ended: string[] = [];
  const never = (ending: AbortSignal) =>
    new Promise<never>(() => ending.addEventListener('abort', () => ended.push('never')));
  const fail = async () => {
    throw new ToolError('it is broken', { hint: 'mend it', childOutput: 'first\nERROR: last words' });
  };
  const defect = async () => {
    throw new TypeError('x is not a function');
  };
  const checks = [
    { name: 'fails', look: fail },
    { name: 'never', look: never },
    { name: 'defect', look: defect },
    { name: 'good', look: async () => [fine('one'), fine('two')] },
  ];
  const found = await runChecks(checks, signal, 50, 50);
  assert.deepEqual(linesOf(found, ...checks.map(({ name }) => name)), [
    'broken fails: it is broken: ERROR: last words | mend it',
    'broken never: there was no result within 0s | look for a network mount or a server that does not answer',
    'broken defect: TypeError: x is not a function',
    'fine good: one',
    'fine good: two',
  ]);
  assert.deepEqual(ended, ['never'], 'what is late is stopped');
});

test('what is late has a moment to clean up before the result is there', async () => {
  let isCleanedUp = false;
  const look = async (ending: AbortSignal) => {
    await new Promise((resolve) => ending.addEventListener('abort', resolve));
    await setTimeout(20);
    isCleanedUp = true;
    return [];
  };
  const [found] = await runChecks([{ name: 'late', look }], signal, 20);
  assert.deepEqual([found?.verdict, isCleanedUp], ['broken', true]);
});

test('256 MiB of memory are too little for the defaults, and enough with the settings that are named', async () => {
  const limit = { bytes: 256 * MIB, whose: 'its cgroup /small' };
  const [finding, ...more] = await lookAtMemory(settingsOf({}), 'backup', limit);
  assert.equal(finding?.verdict, 'doubtful');
  assert.match(
    finding.says,
    /^a backup takes up to [23]\d\d MiB of memory, but its cgroup \/small has 256 MiB: it may be killed$/,
  );
  assert.deepEqual(more, []);
  // The first choice, which may be two settings.
  const [, choice = ''] = /settings that fit: ([^,;]+)/.exec(finding.cure ?? '') ?? [];
  const settings = Object.fromEntries(choice.split(' ').map((setting) => setting.split('=')));
  const [cured] = await lookAtMemory(settingsOf(settings), 'backup', limit);
  assert.deepEqual(cured, fine('its cgroup /small has 256 MiB, which is enough'), `with ${choice}`);
});

test('a restore is judged by what it holds itself', async () => {
  const limit = { bytes: 256 * MIB, whose: 'this machine' };
  const [finding] = await lookAtMemory(settingsOf({}), 'restore', limit);
  assert.match(finding?.says ?? '', /^make restore takes up to [23]\d\d MiB of memory/);
  assert.equal(
    (await lookAtMemory(settingsOf({ PART_SIZE: '24MiB', CONCURRENCY: '2' }), 'restore', limit))[0]?.verdict,
    'fine',
  );
});

test('room is judged by size: little is enough on a small filesystem, and a twentieth on a large one', () => {
  assert.equal(judgeRoom(5 * MIB, 256 * MIB), 'low');
  assert.equal(judgeRoom(2 * MIB, 256 * MIB), 'full');
  assert.equal(judgeRoom(64 * MIB - 1, 1000 * GIB), 'full');
  assert.equal(judgeRoom(9 * GIB, 1000 * GIB), 'low');
  assert.equal(judgeRoom(11 * GIB, 10_000 * GIB), 'enough');
});

test('a Node.js that is too old is named', () => {
  assert.equal(lookAtNode('18.20.1').verdict, 'broken');
  assert.match(lookAtNode('18.20.1').cure ?? '', /Node\.js 20 or newer/);
  assert.equal(lookAtNode('24.1.0').verdict, 'fine');
});

test('swap files are read with their blanks, partitions are left out, and another subvolume has none', async () => {
  const table = 'Filename\t\t\t\tType\t\tSize\n/dev/sda2 partition 1 0 -2\n/data/swap\\040file file 1 0 -3\n';
  assert.deepEqual(parseSwaps(table), ['/data/swap file']);
  const own = join(directory, 'swaps');
  await writeFile(own, `Filename Type Size\n${own} file 1 0 -2\n/proc/self/status file 1 0 -2\n`);
  assert.deepEqual(await activeSwapFiles(directory, own), [own]);
});

test('the timer: not installed, of another file, not active, not enabled, a run that failed, and one that is fine', () => {
  const config = '/etc/btrfs-to-s3.env';
  const judge = (
    timer: string,
    service = 'Result=success',
    { name = 'btrfs-to-s3', isOther = false, installed = config } = {},
  ) =>
    judgeTimer(
      { timer: parseProperties(timer), service: parseProperties(service), config: '/opt/b/x.env', isOther },
      name,
      { config, installed },
    ).map(({ verdict, says, cure }) => `${verdict}: ${says} | ${cure}`);
  const good =
    'LoadState=loaded\nActiveState=active\nUnitFileState=enabled\nNextElapseUSecRealtime=Mon 2026-11-30 02:14:11 UTC\nLastTriggerUSec=';
  assert.match(
    judge('LoadState=not-found')[0] ?? '',
    /^doubtful: .* not installed.*\| make install-systemd CONFIG=\/etc\/btrfs-to-s3\.env, then: systemctl enable --now btrfs-to-s3\.timer$/,
  );
  // The template comes with the units of another file, which must keep it.
  assert.match(
    judge('LoadState=not-found', '', { name: 'btrfs-to-s3@two', installed: '/etc/one.env' })[0] ?? '',
    /make install-systemd CONFIG=\/etc\/one\.env, then: systemctl enable --now btrfs-to-s3@two\.timer$/,
  );
  assert.match(
    judge(good, undefined, { isOther: true }).join('\n'),
    /^doubtful: btrfs-to-s3\.service uses \/opt\/b\/x\.env, and no unit uses \/etc\/btrfs-to-s3\.env \| make doctor CONFIG=\/opt\/b\/x\.env .*$/,
  );
  assert.match(
    judge(good.replace('=active', '=inactive'))[0] ?? '',
    /^broken: btrfs-to-s3\.timer is inactive: .*\| systemctl enable --now/,
  );
  assert.match(
    judge(good.replace('=enabled', '=disabled'))[0] ?? '',
    /^broken: .*does not start with the machine \| systemctl enable btrfs-to-s3/,
  );
  assert.match(
    judge(good, 'Result=exit-code\nExecMainStatus=2')[0] ?? '',
    /^broken: the last run of .* failed \(exit code 2\) \| journalctl -u btrfs-to-s3\.service/,
  );
  assert.deepEqual(judge(good), [
    'fine: btrfs-to-s3.timer is active, comes next Mon 2026-11-30 02:14:11 UTC; it has not run yet | undefined',
  ]);
});

test('the units that are looked at are those of the settings file', async () => {
  const look = async (config: string, installed: string | undefined) => {
    const asked = new Set<string>();
    const show = async (unit: string) => {
      const [name = ''] = unit.split('.');
      asked.add(name);
      const file = name.includes('@') ? '/etc/btrfs-to-s3/two.env' : installed;
      if (file === undefined) return parseProperties('LoadState=not-found');
      return parseProperties(
        `LoadState=loaded\nActiveState=active\nResult=success\nExecStart=/opt/b/scripts/tsx.sh scripts/x.ts --config ${file} --if-due`,
      );
    };
    const settings = settingsOf({ PRUNE_EVERY: '30d' });
    const check = timerCheck({ settings, config }, { isRunning: async () => true, show });
    const verdicts = (await check.look(signal)).map(({ verdict }) => verdict);
    return [[...asked].join(' '), verdicts.join(' ')];
  };
  const all = 'btrfs-to-s3 btrfs-to-s3-verify btrfs-to-s3-prune';
  assert.deepEqual(await look('/etc/one.env', '/etc/one.env'), [all, 'fine fine fine']);
  assert.deepEqual(await look('/opt/b/config/backup.env', '/etc/one.env'), ['btrfs-to-s3', 'doubtful']);
  const two = '/etc/btrfs-to-s3/two.env';
  assert.deepEqual(await look(two, '/etc/one.env'), ['btrfs-to-s3 btrfs-to-s3@two', 'fine skipped']);
  assert.deepEqual(await look(two, two), [all, 'fine fine fine']);
  assert.deepEqual(await look(two, undefined), ['btrfs-to-s3', 'doubtful']);
});

test('a unit is known by the settings file in it, and an instance by the name of that file', async () => {
  const unit = 'ExecStart=/opt/b/scripts/tsx.sh scripts/backup.ts --config /etc/b.env --if-due\n';
  // As systemctl show prints it.
  const shown = parseProperties(
    'ExecStart={ path=/opt/b/scripts/tsx.sh ; argv[]=/opt/b/scripts/tsx.sh scripts/verify.ts --config /etc/b.env --if-due ; ignore_errors=no ; pid=0 }',
  );
  for (const text of [unit, shown.ExecStart ?? '']) assert.equal(configIn(text), '/etc/b.env');
  assert.equal(configIn('ExecStart=/usr/bin/other --config /etc/b.env'), undefined);
  assert.equal(instanceOf('/etc/btrfs-to-s3/my-nas.env'), 'my-nas');
  for (const path of ['/etc/btrfs-to-s3.env', '/etc/btrfs-to-s3/a/b.env', '/etc/btrfs-to-s3/a b.env'])
    assert.equal(instanceOf(path), undefined);
  const [file, link] = [join(directory, 'file.env'), join(directory, 'link.env')];
  await writeFile(file, '');
  await symlink(file, link);
  assert.equal(await isSameFile(file, link), true);
  assert.equal(await isSameFile(file, join(directory, 'none.env')), false);
});
