/** Backups at any time, made within this process: the scripts have the clock of the host. */
import { hostname } from 'node:os';
import { publishBackup } from '../../lib/stage/backup/publish/publish.ts';
import { prepareSnapshot } from '../../lib/stage/backup/snapshot.ts';
import { uploadSnapshot } from '../../lib/stage/backup/upload/upload.ts';
import { openTestBucket } from '../support/bucket.ts';
import { stageContext } from '../support/stage-context.ts';
import { secret, type World } from './world.ts';

/** What is backed up, and with which settings beside the world's; `data` where nothing is said. */
export interface BackupOptions {
  readonly path?: string;
  readonly name?: string;
  readonly settings?: Readonly<Record<string, string>>;
  /** Of the host that makes it; this one where nothing is said. */
  readonly hostName?: string;
  readonly kind?: 'auto' | 'full';
}

/** Backs a subvolume of the world up as if it were some moment, in milliseconds since 1970. */
export async function backUpAt(world: World, nowMs: number, options: BackupOptions = {}): Promise<void> {
  const settings = { ...world.settings, ...options.settings };
  const bucket = await openTestBucket(world.server.endpoint, settings, {
    AWS_ACCESS_KEY_ID: 'end-to-end',
    AWS_SECRET_ACCESS_KEY: secret,
  });
  const context = {
    ...stageContext(bucket, settings).context,
    now: () => new Date(nowMs),
    hostName: options.hostName ?? hostname(),
  };
  try {
    const subvolume = { name: options.name ?? 'data', path: options.path ?? world.data };
    await prepareSnapshot(context, subvolume, {
      kind: options.kind ?? 'auto',
      ifDue: false,
      dryRun: false,
    });
    await uploadSnapshot(context, subvolume);
    await publishBackup(context, subvolume);
  } finally {
    await context.memory.close();
    bucket.close();
  }
}
