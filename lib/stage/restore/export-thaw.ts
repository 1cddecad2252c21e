/** The thaw of many hosts as a list for S3 Batch Operations, which takes what no single host should request one by one. */

import { describeError, ToolError } from '../../core/errors.ts';
import { hasExpiry } from '../../core/thaw/archive-classes.ts';
import { batchManifest } from '../../core/thaw/batch-manifest.ts';
import { objectsToRequest, type ThawObject, transferMs } from '../../core/thaw/thaw-plan.ts';
import { pathExists, writeTextFile } from '../../edge/files/files.ts';
import { thawStates } from '../../edge/s3/thaw-requests.ts';
import {
  everythingAmong,
  momentOf,
  nothingFound,
  REQUESTS_AT_ONCE,
  resolveChain,
} from '../bucket/backups.ts';
import { findHosts, type Host } from '../bucket/hosts.ts';
import { refuseLostChunks } from '../bucket/listed-chunks.ts';
import type { StageContext } from '../context.ts';
import { chunksOf } from './thaw.ts';

/** Which chains of all hosts: of all subvolumes or of those of one name, the published backup or the newest not later than a time. */
export interface ExportRequest {
  readonly path: string;
  readonly subvolume: string | undefined;
  readonly at: string | undefined;
}

/** What was written; no file where nothing has to be thawed. */
export interface ExportOutcome {
  readonly hosts: number;
  readonly chains: number;
  readonly objects: number;
  readonly bytes: number;
  /** Why chains are not in the list: they cannot be restored, or there was no backup yet at that time. */
  readonly failures: readonly ToolError[];
}

/**
 * Writes a manifest of all objects that a request has to be made for, of every host under the prefix. Requests nothing.
 * @throws ToolError when there is no backup at all, or something is at the path already.
 */
export async function exportThaw(context: StageContext, request: ExportRequest): Promise<ExportOutcome> {
  const { bucket, settings, log } = context;
  if (await pathExists(request.path)) {
    throw new ToolError(`EXPORT ${request.path} exists already`, {
      kind: 'usage',
      hint: 'remove it, or name a file that does not exist yet',
    });
  }
  if (request.at !== undefined) momentOf(request.at);
  const hosts = await findHosts(bucket, bucket.prefix);
  const { chains, failures } = await chainsOf(hosts, request);
  if (chains.length === 0 && failures.length === 0) {
    throw await nothingFound(bucket, 'there is no backup to thaw');
  }
  const states = await thawStates(
    bucket,
    hosts.flatMap(({ listed }) => listed),
    new Set(chains.flat().map(({ key }) => key)),
    REQUESTS_AT_ONCE,
  );
  const nowMs = Date.now();
  const wanted = new Map<string, number>();
  let tiered = 0;
  for (const chain of chains) {
    const objects = chain.flatMap(({ key, size }): ThawObject[] => {
      const state = states.get(key);
      return state ? [{ key, sizeBytes: size, state }] : [];
    });
    const bytes = objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const missing = objectsToRequest(objects, nowMs + transferMs(bytes, settings.RESTORE_RATE));
    // S3 refuses a job with an expiry for objects that Intelligent-Tiering has archived.
    tiered += missing.filter(({ archive }) => !hasExpiry(archive)).length;
    const sizes = new Map(objects.map(({ key, sizeBytes }) => [key, sizeBytes]));
    for (const { key, archive } of missing) if (hasExpiry(archive)) wanted.set(key, sizes.get(key) ?? 0);
  }
  if (tiered > 0)
    log.warn(`${tiered} chunks archived by Intelligent-Tiering are not in the list: use make thaw for them`);
  const list = batchManifest(bucket.name, [...wanted.keys()]);
  if (wanted.size > 0)
    await writeTextFile(request.path, list, 'make room there, or name another EXPORT file');
  return {
    hosts: hosts.length,
    chains: chains.length,
    objects: wanted.size,
    bytes: [...wanted.values()].reduce((sum, size) => sum + size, 0),
    failures,
  };
}

type Chunks = ReturnType<typeof chunksOf>;

/** The chunks of every chain; one that cannot be restored is a failure; the rest are still exported. */
async function chainsOf(
  hosts: readonly Host[],
  { subvolume, at }: ExportRequest,
): Promise<{ readonly chains: Chunks[]; readonly failures: ToolError[] }> {
  const chains: Chunks[] = [];
  const failures: ToolError[] = [];
  for (const { bucket, listed } of hosts) {
    const keys = listed.map(({ key }) => key);
    const { names } = everythingAmong(bucket.prefix, keys);
    for (const name of names.filter((each) => subvolume === undefined || each === subvolume)) {
      try {
        const chunks = chunksOf(await resolveChain(bucket, name, { at }));
        refuseLostChunks(chunks, listed);
        chains.push(chunks);
      } catch (error) {
        if (!(error instanceof ToolError) || error.kind === 'interrupted') throw error;
        // A host that had no backup at that time is not a usage error.
        failures.push(error.kind === 'usage' ? new ToolError(describeError(error)) : error);
      }
    }
  }
  return { chains, failures };
}
