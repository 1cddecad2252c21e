/** The manifests of a run as they lie in the bucket, judged by the published JSON Schema. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { Manifest } from '../../../lib/core/format/manifest.ts';
import type { RecordedBackup } from '../runner/state.ts';
import { repositoryRoot } from '../test-directory.ts';
import type { HarnessBucket } from './bucket.ts';

/** A manifest with the backup that it was recorded for, and its text in the bucket. */
export interface ManifestOfRun {
  readonly backup: RecordedBackup;
  readonly text: string;
  readonly manifest: Manifest;
}

/** Reads the manifests of some backups. @throws when one is missing, or is not what the JSON Schema says */
export async function readManifests(
  bucket: HarnessBucket,
  backups: readonly RecordedBackup[],
): Promise<readonly ManifestOfRun[]> {
  const schema = JSON.parse(await readFile(join(repositoryRoot, 'config/manifest.schema.json'), 'utf8'));
  const validate = new Ajv2020({ allErrors: true }).compile<Manifest>(schema);
  const found: ManifestOfRun[] = [];
  for (const backup of backups) {
    const text = await bucket.readText(backup.manifest_key);
    if (text === undefined) throw new Error(`the manifest ${backup.manifest_key} is missing`);
    const manifest: unknown = JSON.parse(text);
    if (!validate(manifest)) {
      const reasons = validate.errors?.map(({ instancePath, message }) => `${instancePath} ${message}`);
      throw new Error(`${backup.manifest_key} is not what its schema says: ${reasons?.join('; ')}`);
    }
    found.push({ backup, text, manifest });
  }
  return found;
}
