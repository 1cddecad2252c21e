/**
 * The manifest, version 1, and the pointer `current.json`: what a backup is, as it stands in the bucket. A manifest is untrusted
 * input: everything is bounded, and its keys must lie under the prefix it was found in.
 */
import { z } from 'zod';
import { ToolError } from '../errors.ts';
import { printable } from '../printable.ts';
import { unknownStep } from './codec.ts';
import { inconsistencyOf } from './manifest-consistency.ts';
import { type Manifest, manifestSchema, type Pointer, pointerSchema, words } from './manifest-schema.ts';
import { TOOL } from './tool.ts';

export type { Manifest, ManifestChunk, Pointer, StoredManifest } from './manifest-schema.ts';
export { isSnapshotName, MAX_NESTED, manifestSchema } from './manifest-schema.ts';

/** A manifest larger than this is refused unread; one with the most parts that a backup can have is smaller. */
export const MAX_MANIFEST_BYTES = 256 * 2 ** 20;

/** What another version of the tool may have written; the rest of it is not ours to judge. */
const foreignDocument = z.object({
  version: z.int(),
  codec: z.unknown().optional(),
  tool: z
    .object({ name: words(64), version: words(64) })
    .optional()
    .catch(undefined),
});

/**
 * Reads a manifest that was found at `manifestKey`.
 * @throws ToolError (damage) with the first things that are wrong with it.
 */
export function parseManifest(text: string, manifestKey: string, prefix: string): Manifest {
  const manifest = parseAs(manifestSchema, text, `manifest ${manifestKey}`);
  const problem = inconsistencyOf(manifest, manifestKey, prefix);
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
  const step = unknownStep(data.codec);
  return step && `it uses ${step[0]} = ${printable(JSON.stringify(step[1]))}, ${reader}`;
}

/**
 * False for a text that would take up many times its own size once it is read: 256 MiB of `[],` are gigabytes of arrays. The
 * limits are above what fits a manifest: three brackets for each of its chunks and one for each frame, and a comma for each part.
 */
function isWithinBounds(text: string): boolean {
  if (text.length > MAX_MANIFEST_BYTES) return false;
  let [brackets, commas] = [0, 0];
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x2c) commas++;
    else if (code === 0x5b || code === 0x7b) brackets++;
  }
  return brackets <= 2_000_000 && commas <= 7_000_000;
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
