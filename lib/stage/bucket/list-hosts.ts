/** The backups of a fleet: of every host below one prefix, from the bucket alone. */
import { ToolError } from '../../core/errors.ts';
import { parseKey } from '../../core/format/names.ts';
import type { StageContext } from '../context.ts';
import { findHosts, type Host } from './hosts.ts';
import { backupsAmong, type ListedBackup } from './list.ts';

/** One host with its backups, as `make list` on that host shows them. */
export interface ListedHost {
  /** What S3_PREFIX is there. */
  readonly prefix: string;
  readonly backups: readonly ListedBackup[];
  /** Why its backups could not be listed. */
  readonly failure?: ToolError;
}

/**
 * Lists the backups of all hosts. One whose backups cannot be listed is reported with its failure; the rest are still listed.
 * @param prefix what their prefixes have in common, up to a `/`; empty for the whole bucket.
 * @param subvolume of one name only; hosts without it are left out.
 * @throws ToolError when the bucket cannot be listed, and (usage) when no host has the subvolume.
 */
export async function listHosts(
  { bucket, settings }: StageContext,
  prefix: string,
  subvolume?: string,
): Promise<readonly ListedHost[]> {
  const hosts: ListedHost[] = [];
  for (const host of await findHosts(bucket, prefix)) {
    const listed = subvolume === undefined ? host : onlyOf(host, subvolume);
    if (listed.listed.length > 0) hosts.push(await listHost(settings, listed));
  }
  if (subvolume !== undefined && hosts.length === 0) {
    throw new ToolError(
      `no host under ${prefix}/ has a backup of subvolume "${subvolume}" in ${bucket.name}`,
      {
        kind: 'usage',
        hint: 'leave SUBVOLUME out to see all there is; check S3_BUCKET and HOST_PREFIX',
      },
    );
  }
  return hosts;
}

async function listHost(settings: StageContext['settings'], { bucket, listed }: Host): Promise<ListedHost> {
  const { prefix } = bucket;
  try {
    return { prefix, backups: await backupsAmong({ bucket, settings }, listed) };
  } catch (failure) {
    if (!(failure instanceof ToolError) || failure.kind === 'interrupted') throw failure;
    return { prefix, backups: [], failure };
  }
}

function onlyOf({ bucket, listed }: Host, subvolume: string): Host {
  return {
    bucket,
    listed: listed.filter(({ key }) => parseKey(bucket.prefix, key)?.subvolume === subvolume),
  };
}
