/** Advice on a bucket that keeps the parts of uploads that are never completed: they are charged for, and no listing shows them. */
import { uploadRule } from '../../core/plan/lifecycle-verdict.ts';
import { readUploadExpiry } from '../../edge/s3/bucket/bucket-properties.ts';
import type { StageContext } from '../context.ts';

/** Logs which lifecycle rule is missing, if one is known to be; never fails. */
export async function adviseOnUploads({ bucket, log }: StageContext, prefix = bucket.prefix): Promise<void> {
  const expiry = await readUploadExpiry({ ...bucket, prefix });
  if (expiry === 'unknown') log.debug('the lifecycle rules of the bucket cannot be read');
  if (expiry !== 'missing') return;
  log.info(
    `no lifecycle rule of bucket ${bucket.name} ends incomplete uploads, and their parts are charged for: add ${JSON.stringify(uploadRule(prefix))} (config/README.md, "Incomplete uploads")`,
  );
}
