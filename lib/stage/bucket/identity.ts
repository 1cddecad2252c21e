/** Whether encrypted backups can be read here: asked before anything costs. */
import { availableParallelism } from 'node:os';
import pMap from 'p-map';
import { describeError, ToolError } from '../../core/errors.ts';
import { PLAIN } from '../../core/format/codec.ts';
import type { StoredManifest } from '../../core/format/manifest.ts';
import { checkIdentityFile, WrongIdentity } from '../../edge/codec/identity.ts';
import { programsOf } from '../../edge/codec/steps.ts';
import { openDigests } from '../../transfer/codec/decoder.ts';
import type { StageContext } from '../context.ts';

/**
 * Checks that the codecs of a chain can be undone here: the programs are installed, and the identity opens each encrypted backup.
 * @param chain the newest backup last
 * @throws ToolError: usage when there is no identity, or it is a wrong one; damage when sealed digests are not those of their backup
 */
export async function checkReadable(
  context: Pick<StageContext, 'settings'>,
  chain: readonly StoredManifest[],
): Promise<void> {
  await checkPrograms(chain);
  const encrypted = chain.filter(isEncrypted).toReversed();
  if (!encrypted[0]) return;
  const identity = context.settings.DECRYPT_WITH;
  if (identity === '') throw noIdentity(encrypted[0]);
  await checkIdentityFile(identity);
  // The newest first: an older one may be for other recipients, and have to be named.
  for (const { manifest } of encrypted) await openDigests(manifest, identity);
}

/**
 * Finds the encrypted backups of which only the stored bytes can be read here, by key: all of them without DECRYPT_WITH.
 * @throws ToolError (usage) when DECRYPT_WITH is set and opens none of them
 */
export async function findSealed(
  context: StageContext,
  stored: readonly StoredManifest[],
): Promise<ReadonlySet<string>> {
  const encrypted = stored.filter(isEncrypted);
  const identity = context.settings.DECRYPT_WITH;
  if (identity === '' || encrypted.length === 0) {
    await checkPrograms(stored.filter((backup) => !isEncrypted(backup)));
    return new Set(encrypted.map(({ key }) => key));
  }
  await checkPrograms(stored);
  await checkIdentityFile(identity);
  const sealed = new Set<string>();
  let wrong: WrongIdentity | undefined;
  for (const { key, manifest } of encrypted) {
    try {
      await openDigests(manifest, identity);
    } catch (error) {
      // What is damaged is found where it is read.
      if (error instanceof ToolError && error.kind === 'damage') continue;
      if (!(error instanceof WrongIdentity)) throw error;
      wrong ??= error;
      sealed.add(key);
    }
  }
  if (wrong && sealed.size === encrypted.length) throw wrong;
  return sealed;
}

/**
 * What is wrong with the sealed digests of encrypted backups, by key: a restore refuses such a manifest before it fetches a byte. Looked at
 * as far as DECRYPT_WITH opens them; where age or the identity is not there, nothing is known.
 */
export async function sealProblems(
  { settings: { DECRYPT_WITH: identity }, log, signal }: StageContext,
  stored: readonly StoredManifest[],
): Promise<ReadonlyMap<string, string>> {
  const problems = new Map<string, string>();
  const encrypted = stored.filter(isEncrypted);
  if (identity === '' || encrypted.length === 0) return problems;
  try {
    await checkPrograms(encrypted);
    await checkIdentityFile(identity);
  } catch (error) {
    log.warn(`the sealed digests of encrypted backups are not looked at: ${describeError(error)}`);
    return problems;
  }
  const look = async ({ key, manifest }: StoredManifest) => {
    try {
      await openDigests(manifest, identity);
    } catch (error) {
      if (!(error instanceof ToolError) || error.kind === 'interrupted') throw error;
      if (error.kind === 'damage') problems.set(key, error.problem);
    }
  };
  await pMap(encrypted, look, { concurrency: availableParallelism(), signal });
  return problems;
}

function isEncrypted({ manifest: { codec = PLAIN } }: StoredManifest): boolean {
  return codec.encrypt !== 'none';
}

async function checkPrograms(backups: readonly StoredManifest[]): Promise<void> {
  const codecs = backups.map(({ manifest: { codec = PLAIN } }) => codec);
  await programsOf({
    compress: codecs.some(({ compress }) => compress === 'zstd') ? 'zstd' : 'none',
    encrypt: codecs.some(({ encrypt }) => encrypt === 'age') ? 'age' : 'none',
  });
}

function noIdentity({ key }: StoredManifest): ToolError {
  return new ToolError(`the backup ${key} is encrypted, and DECRYPT_WITH is not set`, {
    kind: 'usage',
    hint: 'name the file with its key: SET="DECRYPT_WITH=/root/btrfs-to-s3.key", or DECRYPT_WITH in the settings file',
  });
}
