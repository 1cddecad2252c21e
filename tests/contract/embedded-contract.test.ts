/** The embedded server keeps the whole contract. */
import { rm } from 'node:fs/promises';
import { startS3Server } from '../../testing/harness/s3-server/server.ts';
import { contract } from './contract.ts';
import { ACCOUNT, BUCKET, createTarget, makeScratch } from './start.ts';

const directory = await makeScratch();
const server = await startS3Server({ directory, buckets: [BUCKET], ...ACCOUNT });

contract(createTarget('embedded server', server.endpoint), async () => {
  await server.stop();
  await rm(directory, { recursive: true, force: true });
});
