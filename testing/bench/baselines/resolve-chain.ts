/**
 * Resolves the chain of a subvolume's newest backup, as a restore does before it fetches the first byte, and nothing else:
 * `node --import tsx resolve-chain.ts --config FILE SUBVOLUME LENGTH`. Fails when the chain has another length.
 */
import { parseArgs } from 'node:util';
import { loadSettings } from '../../../lib/cli/options/load-settings.ts';
import { openBucket } from '../../../lib/edge/s3/s3-client.ts';
import { resolveChain } from '../../../lib/stage/bucket/backups.ts';

const { values, positionals } = parseArgs({
  options: { config: { type: 'string' } },
  allowPositionals: true,
});
const [subvolume = '', length] = positionals;
const settings = await loadSettings(values.config ?? '', []);
await settings.check('bucket');
const bucket = await openBucket(settings.values, 'bench', {
  signal: new AbortController().signal,
  onRetry: (what, error) => console.error(`cannot ${what}: ${error.message}`),
  onSlowDown: () => undefined,
});
const chain = await resolveChain(bucket, subvolume, {});
if (chain.length !== Number(length))
  throw new Error(`the chain has ${chain.length} backups instead of ${length}`);
bucket.close();
