/**
 * The manifest, version 1, and the pointer `current.json`: what a backup is, as it stands in the bucket. The first
 * group of fields is shared with another tool and keeps its meaning; the rest may be absent. Unknown fields are ignored.
 * A manifest is untrusted input: everything is bounded, and its keys must lie under the prefix it was found in.
 */
import { z } from 'zod';
import { ToolError } from '../errors.ts';
import { printable } from '../printable.ts';
import { S3_LIMITS } from '../stream/part-sizes.ts';
import { isSubvolumeName, parseKey, parseTimestamp } from './names.ts';
import { TOOL } from './tool.ts';

/** A manifest larger than this is refused unread; 5 million parts fit (about 1 PiB in parts of 200 MiB). */
export const MAX_MANIFEST_BYTES = 256 * 2 ** 20;

/** Nested subvolumes that a manifest names at most; a host with more, as docker makes them, names the first of them. */
export const MAX_NESTED = 1000;

const timestamp = z.string().refine((text) => parseTimestamp(text) !== undefined, 'is not YYYYMMDDTHHMMSSZ');
const uuid = z.string().regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i, 'is not a UUID');
const sha256Hex = z.string().regex(/^[0-9a-f]{64}$/, 'is not a SHA-256 in lower-case hex');
const sha256Base64 = z.string().regex(/^[A-Za-z0-9+/]{43}=$/, 'is not a SHA-256 in base64');
const byteCount = z.int().nonnegative();
/** Keys and other words come into messages, so they must not carry anything that a terminal obeys. */
const words = (maxLength: number) =>
  z
    .string()
    .max(maxLength)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
    .regex(/^[^\u0000-\u001f\u007f-\u009f]*$/, 'contains a control character');
const key = words(1024).min(1);
const kind = z.enum(['full', 'incremental']);
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
const snapshotNamePattern = /^[^/\u0000-\u001f\u007f-\u009f]{1,255}$/;

/** True for a snapshot's name that a manifest can hold. */
export function isSnapshotName(name: string): boolean {
  return snapshotNamePattern.test(name) && name !== '.' && name !== '..';
}

const chunkSchema = z.object({
  key,
  size: z.int().positive().max(S3_LIMITS.maxObjectBytes),
  sha256: sha256Hex,
  etag: words(1024).nullish(),
  part_size: z.int().positive().max(S3_LIMITS.maxPartBytes).optional(),
  parts: z.array(sha256Base64).min(1).max(S3_LIMITS.maxPartsPerObject).optional(),
  checksum: words(256).optional(),
  plain_size: byteCount.optional(),
  plain_sha256: sha256Hex.optional(),
});

export const manifestSchema = z.object({
  version: z.literal(1),
  subvolume: z.string().refine(isSubvolumeName, 'is not a subvolume name'),
  kind,
  created_at: timestamp,
  snapshot: z.object({
    name: z
      .string()
      .regex(snapshotNamePattern, 'is not a snapshot name')
      .refine(isSnapshotName, 'is not a snapshot name'),
    path: z.string().max(4096),
    /** Null in manifests of the Python tool `btrfs_to_s3`. */
    uuid: uuid.nullable(),
    /** UUID of the snapshot that an incremental stream was made against. */
    parent_uuid: uuid.nullish(),
    generation: z.int().nonnegative().optional(),
    /**
     * Modification time of the top directory, in seconds since 1970. An incremental stream that moves entries through the top
     * directory does not set it again (measured with kernel 6.18), so that restore has to.
     */
    mtime: z
      .string()
      .regex(/^-?\d{1,12}\.\d{9}$/, 'is not a number of seconds with nine decimals')
      .optional(),
    received_uuid: uuid.nullish(),
    /** `ctransid` of the snapshot, and of the parent that its stream was made against: the states of both. */
    transid: byteCount.optional(),
    parent_transid: byteCount.optional(),
    /**
     * The parent on this host was restored or received: a copy of the parent backup's snapshot, with its UUID, but in a state of its
     * own, which `parent_transid` is.
     */
    parent_continued: z.literal(true).optional(),
    /** UUID of the subvolume that it is a snapshot of. */
    source_uuid: uuid.optional(),
    /** Subvolumes that were below it, which no stream carries: paths below the subvolume. */
    nested: z
      .array(z.object({ path: z.string().max(4096), uuid }))
      .max(MAX_NESTED)
      .optional(),
  }),
  parent_manifest: key.nullable(),
  chunks: z.array(chunkSchema).min(1).max(100_000),
  total_bytes: z.int().positive(),
  chunk_size: z.int().positive(),
  s3: z.object({
    storage_class: words(64).nullish(),
    bucket: words(256).optional(),
    region: words(256).nullish(),
    sse: words(64).optional(),
  }),
  stream: z
    .object({
      bytes: byteCount,
      sha256: sha256Hex,
      protocol: z.int().min(1).max(99),
      compressed_data: z.boolean(),
      /** Bytes of the smallest metadata node (mkfs.btrfs -n) that holds the largest attribute or link of the stream; 0 without any. */
      least_node_size: byteCount.optional(),
      /** What not every mount takes: `acl`, `compression` (the property). */
      features: z.array(words(32)).max(32).readonly().optional(),
    })
    .optional(),
  codec: z.looseObject({ compress: words(64), encrypt: words(64) }).optional(),
  host: words(256).optional(),
  /** Of the machine, as `host-identity.ts` derives it from its machine-id; and of the filesystem that was backed up. */
  host_id: words(64).optional(),
  filesystem_uuid: words(64).optional(),
  tool: z.object({ name: words(64), version: words(64) }).optional(),
  timing: z.object({ started_at: words(64), finished_at: words(64) }).optional(),
});

/** What another version of the tool may have written; the rest of it is not ours to judge. */
const foreignDocument = z.object({
  version: z.int(),
  codec: z.unknown().optional(),
  tool: z
    .object({ name: words(64), version: words(64) })
    .optional()
    .catch(undefined),
});

export const pointerSchema = z.object({ manifest_key: key, kind, created_at: timestamp });

export type Manifest = z.output<typeof manifestSchema>;
export type ManifestChunk = Manifest['chunks'][number];
export type Pointer = z.output<typeof pointerSchema>;

/** A manifest with the key it was read from. */
export interface StoredManifest {
  readonly key: string;
  readonly manifest: Manifest;
}

/**
 * Reads a manifest that was found at `manifestKey`.
 * @throws ToolError (damage) with the first things that are wrong with it.
 */
export function parseManifest(text: string, manifestKey: string, prefix: string): Manifest {
  const manifest = parseAs(manifestSchema, text, `manifest ${manifestKey}`);
  const problem = inconsistency(manifest, manifestKey, prefix);
  if (problem) throw damaged(`manifest ${manifestKey}`, problem);
  return manifest;
}

/**
 * Reads a `current.json`.
 * @throws ToolError (damage) when it is not one, or when it names anything but a manifest of its own subvolume.
 */
export function parsePointer(text: string, pointerKey: string): Pointer {
  const name = `pointer ${pointerKey}`;
  const pointer = parseAs(pointerSchema, text, name);
  const root = pointerKey.slice(0, pointerKey.lastIndexOf('/') + 1);
  if (pointer.manifest_key === `${root}${pointer.kind}/manifest-${pointer.created_at}.json`) return pointer;
  const { manifest_key, kind, created_at } = pointer;
  throw damaged(
    name,
    `it names ${manifest_key}, which is not the ${kind} backup of ${created_at} of this subvolume`,
  );
}

/** The JSON that is stored: indented, with a final line break. */
export function serialiseDocument(document: Manifest | Pointer): string {
  return `${JSON.stringify(document, null, 2)}\n`;
}

/** The UUID by which the received copy of this backup's snapshot is known: a received snapshot keeps its first one. */
export function streamUuid(snapshot: Manifest['snapshot']): string | null {
  return snapshot.received_uuid ?? snapshot.uuid;
}

function inconsistency(manifest: Manifest, manifestKey: string, prefix: string): string | undefined {
  const place = parseKey(prefix, manifestKey);
  if (place?.type !== 'manifest') return `its key is not a manifest's under ${prefix}/`;
  if (place.subvolume !== manifest.subvolume) return `it names another subvolume, "${manifest.subvolume}"`;
  if (place.kind !== manifest.kind) return `it says ${manifest.kind} but lies under ${place.kind}/`;
  if (place.timestamp !== manifest.created_at) {
    return `it says ${manifest.created_at} but its key says ${place.timestamp}`;
  }
  if ((manifest.kind === 'full') !== (manifest.parent_manifest === null)) {
    return manifest.kind === 'full' ? 'it is full but has a parent' : 'it is incremental but names no parent';
  }
  if (manifest.parent_manifest !== null) {
    const parent = parseKey(prefix, manifest.parent_manifest);
    if (parent?.type !== 'manifest' || parent.subvolume !== manifest.subvolume) {
      return `its parent ${manifest.parent_manifest} is not a manifest of this subvolume under ${prefix}/`;
    }
  }
  let previousIndex = -1;
  let total = 0;
  for (const [index, chunk] of manifest.chunks.entries()) {
    const name = parseKey(prefix, chunk.key);
    if (name?.type !== 'chunk' || name.subvolume !== manifest.subvolume) {
      return `chunk ${index} has the key ${chunk.key}, which is not a chunk of this backup`;
    }
    if (name.index <= previousIndex) return `chunk ${index} has the key of chunk ${name.index}`;
    previousIndex = name.index;
    total += chunk.size;
    const partBytes = chunk.part_size ?? chunk.size;
    if (chunk.parts && chunk.parts.length !== Math.ceil(chunk.size / partBytes)) {
      return `chunk ${index} lists ${chunk.parts.length} parts, which does not fit its size`;
    }
    // A part is held in memory whole.
    if (chunk.parts && partBytes > S3_LIMITS.maxPartBytes)
      return `chunk ${index} is one part of more than 5 GiB`;
  }
  if (total !== manifest.total_bytes) {
    return `its chunks add up to ${total} bytes, but total_bytes is ${manifest.total_bytes}`;
  }
  return undefined;
}

function parseAs<Schema extends z.ZodType>(schema: Schema, text: string, name: string): z.output<Schema> {
  if (!isWithinBounds(text)) throw damaged(name, 'it holds more values than a document of ours can');
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw damaged(name, 'it is not JSON', cause);
  }
  const unknown = unknownFormat(json);
  if (unknown) throw damaged(name, unknown, undefined, `update ${TOOL.name}, and run again`);
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  const issues = result.error.issues.slice(0, 3);
  throw damaged(name, issues.map((issue) => `${issue.path.join('.') || 'it'}: ${issue.message}`).join('; '));
}

/** Why a document is in a format that this version cannot read, such as a codec; undefined when nothing says so. */
function unknownFormat(json: unknown): string | undefined {
  const { data } = foreignDocument.safeParse(json);
  if (!data) return undefined;
  const writer = data.tool ? `; ${data.tool.name} ${data.tool.version} wrote it` : '';
  const reader = `which ${TOOL.name} ${TOOL.version} cannot read${writer}`;
  if (data.version > 1) return `it is of version ${data.version}, ${reader}`;
  if (data.codec === undefined || data.codec === null) return undefined;
  const steps = typeof data.codec === 'object' ? Object.entries(data.codec) : [['codec', data.codec]];
  const [step] = steps.filter(([, how]) => how !== 'none');
  return step && `it uses ${step[0]} = ${printable(JSON.stringify(step[1]))}, ${reader}`;
}

/**
 * False for a text that would take up many times its own size once it is read: 256 MiB of `[],` are gigabytes of arrays. The
 * limits are above what fits a manifest: two brackets for each of its chunks, and a comma for each part.
 */
function isWithinBounds(text: string): boolean {
  let [brackets, commas] = [0, 0];
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x2c) commas++;
    else if (code === 0x5b || code === 0x7b) brackets++;
  }
  return brackets <= 1_000_000 && commas <= 7_000_000;
}

function damaged(
  name: string,
  reason: string,
  cause?: unknown,
  hint = 'see what else is affected with: make verify',
): ToolError {
  return new ToolError(`${name} cannot be used: ${reason}`, {
    kind: 'damage',
    problem: `cannot be used: ${reason}`,
    hint,
    cause,
  });
}
