/**
 * `sealed` of a manifest: SHA-256 of the plain bytes of an encrypted backup. In the clear they would let anyone recognise known
 * content, so they stand in a file that age made for the same recipients. It names its backup, because a sealed list of digests
 * vouches for it: put into the manifest of another one it must be found out.
 */
import { z } from 'zod';
import { ToolError } from '../errors.ts';
import { printable } from '../printable.ts';
import type { Manifest } from './manifest-schema.ts';

const sha256Hex = z.string().regex(/^[0-9a-f]{64}$/);
const sha256Base64 = z.string().regex(/^[A-Za-z0-9+/]{43}=$/);

const sealedSchema = z.object({
  backup: z.object({
    subvolume: z.string(),
    kind: z.string(),
    created_at: z.string(),
    snapshot_uuid: z.string().nullable(),
    parent_manifest: z.string().nullable(),
  }),
  /** Of the stream, in hex. */
  stream: sha256Hex,
  /** Of the plain bytes of each chunk, in hex. */
  chunks: z.array(sha256Hex).min(1),
  /** Of each frame of each chunk, in base64. */
  frames: z.array(z.array(sha256Base64).min(1)).min(1),
});

/** SHA-256 of the plain bytes of a backup, and which one it is. */
export type SealedDigests = z.output<typeof sealedSchema>;

/** What names the backup that digests are of. */
export function identityOf({
  subvolume,
  kind,
  created_at,
  snapshot,
  parent_manifest,
}: Pick<Manifest, 'subvolume' | 'kind' | 'created_at' | 'parent_manifest'> & {
  readonly snapshot: { readonly uuid: string | null };
}): SealedDigests['backup'] {
  return { subvolume, kind, created_at, snapshot_uuid: snapshot.uuid, parent_manifest };
}

/**
 * Reads what age made of `sealed`.
 * @throws ToolError (damage) when it is not that of this manifest.
 */
export function parseSealed(text: string, manifest: Manifest, key: string): SealedDigests {
  const digests = readSealed(text, manifest);
  if (typeof digests !== 'string') return digests;
  throw new ToolError(`manifest ${key} cannot be used: ${digests}`, {
    kind: 'damage',
    problem: `cannot be used: ${digests}`,
    hint: 'make verify DEEP=1 shows all that is affected; AT= restores an earlier backup',
  });
}

/** The digests, or why they are not those of the manifest. */
function readSealed(text: string, manifest: Manifest): SealedDigests | string {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return 'its sealed digests are not JSON';
  }
  const { data } = sealedSchema.safeParse(json);
  if (!data) return 'its sealed digests are not complete';
  const expected = identityOf(manifest);
  const names = Object.keys(expected) as (keyof typeof expected)[];
  const other = names.find((name) => data.backup[name] !== expected[name]);
  if (other) {
    return `its sealed digests are of another backup: ${other} is ${printable(String(data.backup[other]))}`;
  }
  const frameCounts = manifest.chunks.map(({ frames }) => frames?.length);
  const isCutAlike =
    data.chunks.length === frameCounts.length &&
    data.frames.length === frameCounts.length &&
    data.frames.every((digests, index) => digests.length === frameCounts[index]);
  return isCutAlike ? data : 'its sealed digests are of other chunks or frames';
}
