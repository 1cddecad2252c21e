/** The first step: a Btrfs filesystem on a loop device, an S3 server, and settings for the tool. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { formatSize } from '../../lib/core/units.ts';
import { createFilesystemIn } from '../harness/loop-filesystem.ts';
import { shell } from '../harness/processes/shell.ts';
import { subvolumeNames, transient } from '../harness/runner/places.ts';
import { demandEmptyPlace, demandLoopDevices } from '../harness/runner/prerequisites.ts';
import { runStep, type Step } from '../harness/runner/run-step.ts';
import { startServer } from '../harness/runner/start-server.ts';
import { type State, writeState } from '../harness/runner/state.ts';
import { undoRecorded } from '../harness/runner/undo.ts';
import { writeSettingsFile } from '../harness/settings-file.ts';
import { demandBucket } from '../harness/steps/bucket.ts';

await runStep({
  name: 'setup-btrfs',
  cleansUp: true,
  summary: `Makes a Btrfs filesystem in a file, with the subvolumes data, root and home and the directory snapshots, starts
the S3 server, and writes the tool's settings to tool.env in the run's directory (testing/run). What an earlier
run left is undone first.`,
  options: { 'skip-s3': { type: 'boolean', about: 'a filesystem only: no server and no settings' } },
  async run(step) {
    const { places, log, settings } = step;
    if (await undoRecorded(step)) log.say('an earlier run was not torn down: that was done first');
    await demandEmptyPlace(places);
    await demandLoopDevices();
    const withS3 = step.options['skip-s3'] === undefined;
    if (withS3 && settings.server === 'env') await demandBucket(settings.tool);
    const state: State = {
      config: settings.file,
      started_at: new Date().toISOString(),
      made: [...transient],
      ...(withS3 && { s3: { server: settings.server, lacks: [...settings.lacks] } }),
      rounds: 0,
      backups: [],
    };
    await writeState(places, state);
    try {
      await makeFilesystem(step);
      if (withS3) await connect(step, state);
    } catch (error) {
      await undoRecorded(step).catch((second: Error) => log.say(second.message));
      throw error;
    }
  },
});

async function makeFilesystem({ places, settings, log }: Step<string>): Promise<void> {
  await mkdir(places.filesystem, { mode: 0o700 });
  const { mountPoint } = await createFilesystemIn(places.filesystem, { sizeBytes: settings.imageBytes });
  for (const name of subvolumeNames) await shell`btrfs subvolume create ${join(mountPoint, name)}`;
  for (const path of [places.snapshots, places.restored]) await mkdir(path, { mode: 0o700 });
  log.say(`a Btrfs filesystem of ${formatSize(settings.imageBytes)} is mounted on ${mountPoint}`);
}

async function connect(step: Step<string>, state: State): Promise<void> {
  const { places, settings, log } = step;
  for (const path of [places.expected, places.toolRun]) await mkdir(path, { mode: 0o700 });
  const server = await startServer(step);
  if (state.s3) await writeState(places, { ...state, s3: { ...state.s3, lacks: [...server.lacks] } });
  const reach = { ...settings.tool, ...server.settings };
  const here = {
    SUBVOLUMES: subvolumeNames.map((name) => join(places.mountPoint, name)).join(','),
    SNAPSHOT_DIR: places.snapshots,
    RUN_DIR: places.toolRun,
  };
  await writeSettingsFile(places.toolSettings, { LOG_FORMAT: 'pretty', ...reach, ...here });
  await writeSettingsFile(places.bareSettings, {
    LOG_FORMAT: 'pretty',
    ...reach,
    RUN_DIR: join(places.server, 'other-host'),
  });
  log.say(`the tool's settings are in ${places.toolSettings}`);
}
