/**
 * Signed manifests, where VERIFY_SIGNERS demands them: who can write to the bucket and has no key can then neither change a backup nor
 * pass an older one off as the last. A manifest names its chunks by their hashes, its parent, and the digests of what was backed up.
 */
import { ToolError } from '../../core/errors.ts';
import type { Manifest, StoredManifest } from '../../core/format/manifest.ts';
import { parseKey, signatureKeyOf } from '../../core/format/names.ts';
import { ArchivedDocument, readDocument } from '../../edge/s3/documents.ts';
import type { Bucket } from '../../edge/s3/s3-client.ts';
import { checkSigners, signatureProblem } from '../../edge/signature/ssh-signature.ts';
import type { StageContext } from '../context.ts';
import {
  findPointer,
  listManifests,
  readManifest,
  resolveChain,
  type Selection,
  type Trust,
} from './backups.ts';

const maxSignatureBytes = 65_536;

/** A manifest that is not signed as it has to be. */
export class SignatureProblem extends ToolError {}

/**
 * What VERIFY_SIGNERS demands of each manifest; undefined where it demands nothing.
 * @throws ToolError (usage) when its file cannot be used
 */
export async function demandSignatures({ bucket, settings }: StageContext): Promise<Trust | undefined> {
  const signers = settings.VERIFY_SIGNERS;
  if (signers === '') return undefined;
  await checkSigners(signers);
  return async (key, text) => {
    const problem = await problemOf(bucket, signers, key, text);
    if (problem === undefined) return;
    throw new SignatureProblem(`manifest ${key} cannot be trusted: ${problem}`, {
      kind: 'damage',
      problem: `cannot be trusted: ${problem}`,
      hint: 'AT= or MANIFEST= chooses another; SET="VERIFY_SIGNERS=" takes it as it is, such as one from before SIGN_WITH was set',
    });
  };
}

async function problemOf(
  bucket: Bucket,
  signers: string,
  key: string,
  text: string,
): Promise<string | undefined> {
  const signature = await readDocument(bucket, signatureKeyOf(key), maxSignatureBytes).catch(
    (error: unknown) => {
      // Until it is thawed the manifest is of as little use as one that is archived itself.
      throw error instanceof ArchivedDocument ? new ArchivedDocument(bucket, key, error.cause) : error;
    },
  );
  if (!signature) return 'it is not signed';
  const named = parseKey(bucket.prefix, key);
  const at = named?.type === 'manifest' ? named.timestamp : '';
  return signatureProblem(signers, { text, signature: signature.text, at });
}

/**
 * Finds the backup that is meant, and its chain, as `resolveChain` does; of signed manifests alone where they are demanded.
 * @throws ToolError (damage) also when current.json names another backup than the newest signed one
 */
export async function resolveTrustedChain(
  context: StageContext,
  subvolume: string,
  selection: Selection,
): Promise<readonly StoredManifest[]> {
  const trust = await demandSignatures(context);
  const chain = await resolveChain(context.bucket, subvolume, selection, trust);
  const isPointed = selection.at === undefined && selection.manifest === undefined;
  const chosen = chain.at(-1);
  if (trust && isPointed && chosen) await refuseOlder(context, subvolume, chosen, trust);
  return chain;
}

/** current.json is not signed: who can write to the bucket can have it name an older backup, or put the older pointer back. */
async function refuseOlder(
  { bucket, log }: StageContext,
  subvolume: string,
  chosen: StoredManifest,
  trust: Trust,
): Promise<void> {
  const listed = await listManifests(bucket, subvolume);
  const newer = listed.filter(({ timestamp }) => timestamp > chosen.manifest.created_at).toReversed();
  for (const { key } of newer) {
    try {
      await readManifest(bucket, key, trust);
    } catch (error) {
      if (!(error instanceof ToolError) || error.kind !== 'damage') throw error;
      log.warn(`passing over ${key}, which is newer than what current.json names: ${error.problem}`);
      continue;
    }
    throw new SignatureProblem(
      `current.json of ${subvolume} names ${chosen.key}, but ${key} is newer and signed: the pointer is an older one, or a backup is being published`,
      { kind: 'damage', hint: `MANIFEST=${key} restores the newest; MANIFEST=${chosen.key} the other` },
    );
  }
}

/**
 * The pointer is not signed, and must name the newest of the signed manifests.
 * @returns what is wrong with it; undefined where it names the newest, or cannot be read
 */
export async function olderPointer(
  bucket: Bucket,
  subvolume: string,
  manifests: ReadonlyMap<string, Manifest>,
): Promise<string | undefined> {
  const found = await findPointer(bucket, subvolume).catch((error: unknown) => {
    if (!(error instanceof ArchivedDocument)) throw error;
    return undefined;
  });
  const named = found && 'pointer' in found ? found.pointer : undefined;
  const newer = [...manifests].find(
    ([, manifest]) => manifest.subvolume === subvolume && named && manifest.created_at > named.created_at,
  );
  if (!named || !newer) return undefined;
  return `names ${named.manifest_key}, but ${newer[0]} is newer and signed: it is an older pointer, or a backup is being published`;
}
