/** What chunks.json says of an encoded upload beside its chunks: digests of the plain bytes for those who may read them, and programs. */

import type { ChunksFile, SnapshotFile } from '../../../core/format/run-files.ts';
import { identityOf, type SealedDigests } from '../../../core/format/sealed-digests.ts';
import { sealText } from '../../../edge/codec/identity.ts';
import { codecOf, type Encoding, programsOf } from '../../../edge/codec/steps.ts';
import type { StoredStream } from '../../../transfer/out/store-stream.ts';

/** The fields for a stream that was stored. @throws ToolError when age fails */
export async function describeCodec(
  encoding: Encoding | undefined,
  snapshot: SnapshotFile,
  stored: StoredStream,
): Promise<Pick<ChunksFile, 'sealed' | 'programs'> & { readonly sha256?: string }> {
  if (!encoding) return { sha256: stored.sha256 };
  const programs = await programsOf(codecOf(encoding));
  if (encoding.recipients.length === 0) return { sha256: stored.sha256, programs };
  const digests: SealedDigests = {
    backup: identityOf({ ...snapshot, parent_manifest: snapshot.parent?.manifest_key ?? null }),
    stream: stored.sha256,
    chunks: [...stored.plainSha256s],
    frames: stored.chunks.map(({ frames }) => (frames ?? []).map(({ plain_sha256 }) => plain_sha256)),
  };
  const sealed = await sealText(encoding.recipients, JSON.stringify(digests));
  return { sealed: sealed.toString('base64'), programs };
}
