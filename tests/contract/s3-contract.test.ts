/** The contract, or S3_SECTIONS of it, against the server that S3_SERVER names: `local` (default), the embedded one, or `env`. */
import { rm } from 'node:fs/promises';
import { startS3Server } from '../../testing/s3-server/server.ts';
import { contract, type Section, sectionsNamed } from './contract.ts';
import { namedTarget } from './named-target.ts';
import { ACCOUNT, BUCKET, createTarget, makeScratch } from './start.ts';

async function embeddedContract(only: readonly Section[] | undefined): Promise<void> {
  const directory = await makeScratch();
  const server = await startS3Server({ directory, buckets: [BUCKET], ...ACCOUNT });
  const end = async () => {
    await server.stop();
    await rm(directory, { recursive: true, force: true });
  };
  contract(createTarget('embedded server', server.endpoint), end, only);
}

const kind = process.env.S3_SERVER || 'local';
const only = sectionsNamed(process.env.S3_SECTIONS);
if (kind === 'local') await embeddedContract(only);
else if (kind === 'env') contract(await namedTarget(process.env), async () => {}, only);
else throw new Error(`S3_SERVER must be local or env, got '${kind}'`);
