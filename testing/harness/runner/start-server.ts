/** The S3 server of a run: one of the harness's own that outlives the step that starts it, or the one of the environment. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { formatTimestamp } from '../../../lib/core/format/names.ts';
import { startCeph } from '../ceph/start-ceph.ts';
import type { BucketAccess } from '../servers/bucket-access.ts';
import type { Feature } from '../servers/features.ts';
import { startServerProcess } from '../servers/local-server.ts';
import type { Step } from './run-step.ts';
import { harnessEnvironment } from './tool.ts';

/** Where the bucket is, as settings of the tool, and what the server lacks. */
export interface ServerOfRun {
  readonly settings: Readonly<Record<string, string>>;
  readonly lacks: ReadonlySet<Feature>;
}

/** Starts the server that the settings ask for; its processes carry the mark of the run. @throws when it does not start */
export async function startServer({ settings, places, log, signal }: Step<string>): Promise<ServerOfRun> {
  const { server, lacks, tool, thawDelayMs } = settings;
  const environment = harnessEnvironment(settings, places);
  const place = { directory: places.server, bucket: 'harness', environment };
  switch (server) {
    case 'local': {
      const outliveWithLog = join(places.logs, 'server.log');
      const options = [`--thaw-delay-ms=${thawDelayMs}`];
      const access = await startServerProcess({ ...place, options, outliveWithLog });
      log.say(`the embedded S3 server listens on ${access.endpoint}`);
      return { settings: settingsOf(access), lacks };
    }
    case 'ceph': {
      const access = await startCeph({ ...place, signal, outlive: true });
      log.say(`a Ceph gateway listens on ${access.endpoint}`);
      return { settings: settingsOf(access), lacks: access.lacks };
    }
    case 'env': {
      // A prefix that was never used: everything below it is removed in the end.
      const run = `${formatTimestamp(new Date())}-${randomBytes(4).toString('hex')}`;
      const prefix = `${tool.S3_PREFIX || 'btrfs-to-s3-harness'}/${run}`;
      log.say(`bucket ${tool.S3_BUCKET} on ${tool.AWS_ENDPOINT_URL_S3 ?? 'AWS'}, below ${prefix}/`);
      return { settings: { S3_PREFIX: prefix }, lacks };
    }
  }
}

function settingsOf(access: BucketAccess): Record<string, string> {
  return {
    S3_BUCKET: access.bucket,
    S3_PREFIX: 'harness/host-1',
    AWS_REGION: access.region,
    AWS_ENDPOINT_URL_S3: access.endpoint,
    AWS_ACCESS_KEY_ID: access.accessKeyId,
    AWS_SECRET_ACCESS_KEY: access.secretAccessKey,
  };
}
