/** The settings of a demonstration: a file such as a user writes, and what may be shown of it. */
import { writeFile } from 'node:fs/promises';
import type { BucketAccess } from './servers/bucket-access.ts';

/** Everything that differs between one demonstration, or measurement, and another. */
export interface SettingsOptions {
  readonly path: string;
  readonly subvolume: string;
  readonly snapshotDirectory: string;
  readonly runDirectory: string;
  readonly prefix: string;
  readonly access: BucketAccess;
  /** How the stream is cut, and other settings that are the point of the run. */
  readonly more: Readonly<Record<string, string>>;
}

/**
 * Writes the file, for its owner alone.
 * @returns its lines, with the secret key left out.
 */
export async function writeSettings(options: SettingsOptions): Promise<string[]> {
  const { access } = options;
  const settings = {
    SUBVOLUMES: options.subvolume,
    SNAPSHOT_DIR: options.snapshotDirectory,
    S3_BUCKET: access.bucket,
    S3_PREFIX: options.prefix,
    AWS_REGION: access.region,
    AWS_ENDPOINT_URL_S3: access.endpoint,
    AWS_ACCESS_KEY_ID: access.accessKeyId,
    AWS_SECRET_ACCESS_KEY: access.secretAccessKey,
    RUN_DIR: options.runDirectory,
    ...options.more,
  };
  const lines = await writeSettingsFile(options.path, settings);
  return lines.map((line) =>
    line.startsWith('AWS_SECRET_ACCESS_KEY=') ? 'AWS_SECRET_ACCESS_KEY=(random)' : line,
  );
}

/** Writes a settings file that is not there yet, for its owner alone, and gives its lines. */
export async function writeSettingsFile(
  path: string,
  settings: Readonly<Record<string, string>>,
): Promise<string[]> {
  const lines = Object.entries(settings).map(([key, value]) => `${key}=${value}`);
  await writeFile(path, `${lines.join('\n')}\n`, { mode: 0o600, flag: 'wx' });
  return lines;
}
