/** How far a restore is, on disk: restore.json is written after what it says is on disk, and before what it makes needless is removed. */
import { createHash } from 'node:crypto';
import { dirname, join } from 'node:path';
import { ToolError } from '../../../core/errors.ts';
import type { Manifest, StoredManifest } from '../../../core/format/manifest.ts';
import type { RestoreFile } from '../../../core/format/restore-file.ts';
import { type ChainLink, resumePoint } from '../../../core/plan/restore-resume.ts';
import { RootAttributes } from '../../../core/stream/rewrite/root-attributes.ts';
import { deleteSubvolume, subvolumeAt } from '../../../edge/btrfs/btrfs.ts';
import { readStreamHead } from '../../../edge/btrfs/read-stream-head.ts';
import { KeptParts } from '../../../edge/files/kept-parts.ts';
import { syncFilesystem } from '../../../edge/files/sync-filesystem.ts';
import type { StageContext } from '../../context.ts';
import type { ReceivedStream } from '../receive-backup.ts';
import type { Staging } from './staging.ts';

/** What is restored, and where to. */
interface Restored {
  readonly subvolume: string;
  readonly target: string;
}

/** The record of a restore that is under way, and what an earlier one has left of it. */
export class RestoreRecord {
  readonly #staging: Staging;
  #file: RestoreFile;
  #received: ReceivedStream | undefined;
  /** Index of the first stream that is still to be received. */
  readonly from: number;

  private constructor(
    staging: Staging,
    file: RestoreFile,
    received: ReceivedStream | undefined,
    from: number,
  ) {
    this.#staging = staging;
    this.#file = file;
    this.#received = received;
    this.from = from;
  }

  /**
   * Takes up what an earlier restore has left in the staging directory, and removes all else that is there.
   * @param isThere true when TARGET is in its place already: then nothing else is needed
   * @throws ToolError (usage) when it is of another backup
   */
  static async open(
    context: StageContext,
    staging: Staging,
    { subvolume, target }: Restored,
    chain: readonly StoredManifest[],
    isThere: boolean,
  ): Promise<RestoreRecord> {
    const links = chain.map(linkOf);
    const left = await staging.readRecord();
    const isOfUse = left !== undefined && (await isWorthKeeping(left));
    const point = isOfUse ? resumePoint(left, subvolume, links) : { from: 0 };
    if ('refused' in point) {
      throw new ToolError(`${point.refused}; it is for ${target} as well`, {
        kind: 'usage',
        hint: 'remove it with ABANDON=1, or choose another TARGET',
      });
    }
    if (left && isThere) return new RestoreRecord(staging, left, undefined, point.from);
    const received = left && point.from > 0 ? await takeUp(staging, left) : undefined;
    if (left?.received && !received) {
      context.log.warn(`what was received in ${staging.path} is not as it was left: it begins again`);
    }
    const file: RestoreFile = {
      version: 1,
      target,
      subvolume,
      bucket: `${context.bucket.name}/${context.bucket.prefix}`,
      server: context.bucket.server,
      started_at: left?.started_at ?? context.now().toISOString(),
      chain: links,
      received: received ? (left?.received ?? null) : null,
      kept_parts: left?.kept_parts ?? null,
      continued: received ? (left?.continued ?? null) : null,
      target_uuid: received ? (left?.target_uuid ?? null) : null,
    };
    // Nothing is written before there is something to keep: the room has not been looked at yet.
    await staging.keepOnly(received && left?.received?.name);
    return new RestoreRecord(staging, file, received, received ? point.from : 0);
  }

  /** What the next stream builds on; undefined before the first. */
  get received(): ReceivedStream | undefined {
    return this.#received;
  }

  /** The facts themselves. */
  get file(): RestoreFile {
    return this.#file;
  }

  /**
   * Records a stream as received, once it is on disk, and removes its predecessor.
   * @returns the ID of the predecessor, whose room is free some time later
   * @throws ToolError when the disk did not take all of it
   */
  async advance(manifestKey: string, stream: ReceivedStream): Promise<number | undefined> {
    await syncFilesystem(dirname(this.#staging.path));
    const { transid } = await readStreamHead(stream.path);
    const { name, uuid: receivedAs, rootAttributes } = stream.labels;
    const attributes = rootAttributes.entries().map(([key, value]) => [key, toBase64(value)]);
    await this.write({
      received: {
        manifest_key: manifestKey,
        name,
        own_uuid: stream.own.uuid,
        received_as: receivedAs,
        transid,
        head: { ...stream.head, parent: stream.head.parent ?? null },
        root_attributes: Object.fromEntries(attributes),
        stray_directories: [...stream.strays],
      },
      // Of the stream before, if it was the last of another chain.
      continued: null,
      target_uuid: null,
    });
    const before = this.#received;
    this.#received = stream;
    if (!before) return undefined;
    await deleteSubvolume(before.path);
    return before.own.id;
  }

  /** Records further facts; they are on disk when it resolves. */
  async write(facts: Partial<RestoreFile>): Promise<void> {
    this.#file = { ...this.#file, ...facts };
    await this.#staging.writeRecord(this.#file);
  }
}

/** True when something of a restore would have to be fetched again. */
export async function isWorthKeeping({ received, kept_parts }: RestoreFile): Promise<boolean> {
  return received !== null || (kept_parts !== null && (await KeptParts.at(kept_parts).bytes()) > 0);
}

/** The stream that was received last, if it is there as it was. */
async function takeUp(staging: Staging, { received }: RestoreFile): Promise<ReceivedStream | undefined> {
  if (!received) return undefined;
  const path = join(staging.path, received.name);
  const found = await subvolumeAt(path, received.name);
  if (!found?.readOnly || found.uuid !== received.own_uuid || found.receivedUuid !== received.received_as) {
    return undefined;
  }
  if ((await readStreamHead(path)).transid !== received.transid) return undefined;
  const attributes = Object.entries(received.root_attributes);
  return {
    path,
    own: { uuid: found.uuid, id: found.id },
    head: { ...received.head, parent: received.head.parent ?? undefined },
    labels: {
      name: received.name,
      uuid: received.received_as,
      parentUuid: undefined,
      rootAttributes: new RootAttributes(
        attributes.map(([name, value]) => [name, new Uint8Array(Buffer.from(value, 'base64'))]),
      ),
    },
    strays: received.stray_directories,
  };
}

/** A backup as restore.json records it. */
function linkOf({ key, manifest }: StoredManifest): ChainLink {
  return { manifest_key: key, bytes_digest: bytesDigest(manifest) };
}

/** Distinguishes whatever differs in a byte of the stream. */
function bytesDigest({ chunks }: Manifest): string {
  const text = chunks
    .map(({ size, sha256, parts = [] }) => `${size} ${sha256 ?? parts.join(' ')}\n`)
    .join('');
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}

function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
