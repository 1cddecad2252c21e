/** Backups and restores within this process, as the scripts make them: much quicker, and between the stages anything may happen. */
import type { Manifest } from '../../lib/core/format/manifest.ts';
import { endingWithin } from '../../lib/edge/process/abort-scope.ts';
import type { NoticeListener } from '../../lib/edge/s3/server/habits.ts';
import type { NothingDue } from '../../lib/stage/backup/plan-if-due.ts';
import { publishBackup } from '../../lib/stage/backup/publish/publish.ts';
import { type PreparedBackup, prepareSnapshot } from '../../lib/stage/backup/snapshot.ts';
import { uploadSnapshot } from '../../lib/stage/backup/upload/upload.ts';
import type { Selection } from '../../lib/stage/bucket/backups.ts';
import { type VerifyOutcome, verifyBackups } from '../../lib/stage/bucket/verify.ts';
import type { StageContext } from '../../lib/stage/context.ts';
import { type RestoreOutcome, type RestoreRequest, restoreBackup } from '../../lib/stage/restore/restore.ts';
import { openTestBucket } from '../support/bucket.ts';
import { stageContext } from '../support/stage-context.ts';
import { secret, type World } from './world.ts';

/** A host in this process. */
export interface Host {
  readonly context: StageContext;
  /** What it has warned of so far. */
  readonly warnings: readonly string[];
  /** All that it has said so far: warnings, and what it reports. */
  readonly said: readonly string[];
  /** Bytes of all transfers so far. */
  readonly progress: { readonly bytes: number };
  /** The first stage. */
  plan(
    kind?: 'auto' | 'full' | 'incremental',
    ifDue?: boolean,
    dryRun?: boolean,
  ): Promise<PreparedBackup | NothingDue>;
  upload(): Promise<unknown>;
  /** The last stage. */
  publish(): Promise<{ readonly key: string; readonly manifest: Manifest }>;
  /** All three stages; every one must succeed. */
  backUp(
    kind?: 'auto' | 'full' | 'incremental',
  ): Promise<{ readonly key: string; readonly manifest: Manifest; readonly reason: string }>;
  /** Restores to a path, and compares nothing: who calls does. */
  restore(target: string, selection?: Selection, wishes?: Partial<RestoreRequest>): Promise<RestoreOutcome>;
  verify(deep?: boolean): Promise<VerifyOutcome>;
}

/** What is different from the world: settings, the subvolume, and who the host is. */
export interface HostOptions {
  readonly settings?: Readonly<Record<string, string>>;
  readonly name?: string;
  readonly path?: string;
  /** A glob of snapshots that others take, instead of a path. */
  readonly snapshots?: string;
  readonly hostName?: string;
  /** Of another server, which `settings` name. */
  readonly credentials?: Readonly<Record<string, string>>;
  readonly hostId?: string;
  readonly onNotice?: NoticeListener;
}

/** A host that works in a world. */
export async function hostIn(world: World, options: HostOptions = {}): Promise<Host> {
  const settings = { ...world.settings, ...options.settings };
  const own = { AWS_ACCESS_KEY_ID: 'end-to-end', AWS_SECRET_ACCESS_KEY: secret };
  const credentials = options.credentials ?? own;
  const { ending, signal } = endingWithin(new AbortController().signal);
  const events = { signal, ...(options.onNotice && { onNotice: options.onNotice }) };
  const bucket = await openTestBucket(world.server.endpoint, settings, credentials, events);
  world.cleanUp(async () => {
    // What a test that failed has left under way would try for hours to reach a server that is gone.
    ending.abort(new Error('the test is over'));
    bucket.close();
  });
  const { context: made, warnings, progress } = stageContext(bucket, settings, signal);
  const said: string[] = [];
  const context: StageContext = {
    ...made,
    log: {
      ...made.log,
      info: (message) => said.push(message),
      warn(message) {
        made.log.warn(message);
        said.push(message);
      },
    },
    now: () => new Date(),
    hostName: options.hostName ?? 'host-1',
    hostId: options.hostId ?? 'one',
  };
  const { name = 'data', path = world.data, snapshots } = options;
  const subvolume = snapshots === undefined ? { name, path } : { name, snapshots };
  const plan = (kind: 'auto' | 'full' | 'incremental' = 'auto', ifDue = false, dryRun = false) =>
    prepareSnapshot(context, subvolume, { kind, ifDue, dryRun });
  const upload = () => uploadSnapshot(context, subvolume);
  const publish = async () => {
    const { manifestKey: key, manifest } = await publishBackup(context, subvolume);
    return { key, manifest };
  };
  return {
    context,
    warnings,
    said,
    progress,
    plan,
    upload,
    publish,
    async backUp(kind) {
      const { reason } = await plan(kind);
      await upload();
      return { ...(await publish()), reason };
    },
    restore: (target, selection = {}, wishes = {}) =>
      restoreBackup(context, {
        subvolume: subvolume.name,
        target,
        selection,
        verifyMode: 'none',
        readOnly: false,
        continuesChain: false,
        ...wishes,
        thaw: {},
        mayWait: true,
      }),
    verify: (deep = false) => verifyBackups(context, undefined, deep),
  };
}
