/** RESTORE.txt and recover.sh in the bucket, for the day on which this tool is not at hand: rewritten when what they say changes. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { recoverScriptKey, recoveryTextKey } from '../../../core/format/names.ts';
import { RECOVER_TEMPLATE, recoverScript } from '../../../core/recovery/recover-script.ts';
import { recoveryText } from '../../../core/recovery/recovery-text.ts';
import { fileError } from '../../../edge/files/files.ts';
import { readDocument, writeText } from '../../../edge/s3/documents.ts';
import { recoveryPlaceOf, writeOptions } from '../../../edge/s3/s3-client.ts';
import type { StageContext } from '../../context.ts';

const mostBytes = 262_144;

/** Writes RESTORE.txt, unless it is there. @throws ToolError when it cannot be read or written */
export async function writeRecoveryText(context: StageContext): Promise<void> {
  const { bucket } = context;
  await rewrite(context, recoveryTextKey(bucket.prefix), recoveryText(recoveryPlaceOf(bucket)));
}

/** Writes recover.sh, unless it is there. @throws ToolError when it cannot be read or written */
export async function writeRecoverScript(context: StageContext): Promise<void> {
  const { bucket, checkout } = context;
  const path = join(checkout, RECOVER_TEMPLATE);
  const template = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw fileError(`cannot read ${path}`, cause);
  });
  await rewrite(context, recoverScriptKey(bucket.prefix), recoverScript(template, recoveryPlaceOf(bucket)));
}

async function rewrite({ bucket, settings }: StageContext, key: string, text: string): Promise<void> {
  if ((await readDocument(bucket, key, mostBytes))?.text === text) return;
  await writeText(bucket, key, text, writeOptions(settings, 'manifest'));
}
