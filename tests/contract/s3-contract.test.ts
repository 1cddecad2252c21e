/** The whole contract against the server that S3_SERVER names: `local` (default), the embedded one, or `env`. */
import { rm } from 'node:fs/promises';
import { startS3Server } from '../../testing/s3-server/server.ts';
import { contract } from './contract.ts';
import { namedTarget } from './named-target.ts';
import { ACCOUNT, BUCKET, createTarget, makeScratch } from './start.ts';

async function embeddedContract(): Promise<void> {
  const directory = await makeScratch();
  const server = await startS3Server({ directory, buckets: [BUCKET], ...ACCOUNT });
  contract(createTarget('embedded server', server.endpoint), async () => {
    await server.stop();
    await rm(directory, { recursive: true, force: true });
  });
}

const kind = process.env.S3_SERVER || 'local';
if (kind === 'local') await embeddedContract();
else if (kind === 'env') contract(await namedTarget(process.env), async () => {});
else throw new Error(`S3_SERVER must be local or env, got '${kind}'`);
