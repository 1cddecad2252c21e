/** A manifest in the bucket, and its signature, which is written first: a manifest that is there is signed. */
import { isDeepStrictEqual } from 'node:util';
import { type Manifest, parseManifest } from '../../../core/format/manifest.ts';
import { signatureKeyOf } from '../../../core/format/names.ts';
import type { ChunksFile, SnapshotFile } from '../../../core/format/run-files.ts';
import { readDocument, writeDocument } from '../../../edge/s3/documents.ts';
import { writeOptions } from '../../../edge/s3/s3-client.ts';
import { isSignatureOf, signText } from '../../../edge/signature/ssh-signature.ts';
import type { StageContext } from '../../context.ts';
import { anotherWriter } from './another-writer.ts';
import { findManifest, manifestKeyOf } from './own-manifest.ts';

const maxSignatureBytes = 65_536;

/** A manifest as it stands in the bucket. */
export interface WrittenManifest {
  readonly text: string;
  readonly manifest: Manifest;
}

/**
 * Writes a manifest where none is, signed where SIGN_WITH is set. One that is ours is there already when an earlier attempt ended behind it.
 * @returns what is there now.
 * @throws ToolError when another writer's is there, or nothing can be signed
 */
export async function writeManifest(
  context: StageContext,
  text: string,
  snapshot: SnapshotFile,
  upload: ChunksFile,
): Promise<WrittenManifest> {
  const { bucket, settings } = context;
  const key = manifestKeyOf(bucket, snapshot);
  const built = { text, manifest: parseManifest(text, key, bucket.prefix) };
  const findOurs = async (): Promise<WrittenManifest | undefined> => {
    const found = await findManifest(bucket, snapshot, upload);
    if (found && 'theirs' in found) throw anotherWriter(found.theirs);
    return found && { text: found.text, manifest: found.ours };
  };
  if (settings.SIGN_WITH !== '') {
    const earlier = await findOurs();
    // Whoever can write to the bucket could have put it there: only what this run would write is signed.
    if (earlier && !saysTheSame(earlier.manifest, built.manifest))
      throw anotherWriter(`${key} exists already`);
    await writeSignature(context, signatureKeyOf(key), (earlier ?? built).text);
    if (earlier) return earlier;
  }
  if (await writeDocument(bucket, key, text, writeOptions(settings, 'manifest'), { absent: true }))
    return built;
  const found = await findOurs();
  if (!found) throw anotherWriter(`${key} existed for a moment`);
  if (settings.SIGN_WITH !== '' && found.text !== text) throw anotherWriter(`${key} exists already`);
  return found;
}

/** Whether two manifests differ at most in what an update of this tool, or another name or region, changes. */
function saysTheSame(one: Manifest, other: Manifest): boolean {
  const essence = ({ host: _, tool: __, timing: ___, s3: ____, ...rest }: Manifest) => rest;
  return isDeepStrictEqual(essence(one), essence(other));
}

/** A signature that is there already is ours when it is of the same text and by the same key. */
async function writeSignature({ bucket, settings }: StageContext, key: string, text: string): Promise<void> {
  const signature = await signText(settings.SIGN_WITH, text);
  const options = writeOptions(settings, 'manifest');
  if (await writeDocument(bucket, key, signature, options, { absent: true })) return;
  const there = await readDocument(bucket, key, maxSignatureBytes);
  if (there && (await isSignatureOf(text, there.text, signature))) return;
  // No manifest is there that it could be of, or one with a signature that counts for nothing.
  if (await writeDocument(bucket, key, signature, options, there ? { etag: there.etag } : { absent: true }))
    return;
  throw anotherWriter(`${key} exists already`);
}
