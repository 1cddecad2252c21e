/** The records of drills in the bucket. One is written before the first byte is fetched: a drill that cannot be recorded is not begun. */
import { ToolError } from '../../../core/errors.ts';
import {
  type DrillRecord,
  isConclusive,
  MAX_DRILL_BYTES,
  parseDrillRecord,
} from '../../../core/format/drill-record.ts';
import { drillKey, drillsRoot, formatTimestamp, parseTimestamp } from '../../../core/format/names.ts';
import { readDocument, writeDocument } from '../../../edge/s3/documents.ts';
import { listKeys } from '../../../edge/s3/objects.ts';
import { writeOptions } from '../../../edge/s3/s3-client.ts';
import type { StageContext } from '../../context.ts';

/** Records that are read at most; there is one a week, and one for each attempt that failed. */
const mostRead = 100;

/** What earlier drills of a subvolume have left. */
export interface EarlierDrills {
  /** The newest that came to a conclusion. */
  readonly last: DrillRecord | undefined;
  /** Key of a newer one of this host that was begun and has not ended, such as one that waits for a thaw. */
  readonly begun: string | undefined;
  /** Those of this host that failed since the last, the newest first. */
  readonly failed: readonly DrillRecord[];
  /** Key of the last. */
  readonly lastKey?: string;
}

/** Reads the records of a subvolume, the newest first, up to one that came to a conclusion. */
export async function earlierDrills(
  context: Pick<StageContext, 'bucket' | 'hostId' | 'hostName'>,
  subvolume: string,
): Promise<EarlierDrills> {
  const { bucket, hostId, hostName } = context;
  const root = drillsRoot(bucket.prefix, subvolume);
  const keys = (await listKeys(bucket, root)).filter(
    (key) => key.endsWith('.json') && parseTimestamp(key.slice(root.length, -'.json'.length)) !== undefined,
  );
  let begun: string | undefined;
  const failed: DrillRecord[] = [];
  for (const key of keys.sort().reverse().slice(0, mostRead)) {
    const document = await readDocument(bucket, key, MAX_DRILL_BYTES);
    const record = document && parseDrillRecord(document.text);
    // Whatever else stands there says nothing of a backup.
    if (!record) continue;
    if (isConclusive(record)) return { last: record, begun, failed, lastKey: key };
    const isOurs = hostId === undefined ? record.host === hostName : record.host_id === hostId;
    if (record.result === 'started' && isOurs) begun ??= key;
    if (record.result === 'failed' && isOurs) failed.push(record);
  }
  return { last: undefined, begun, failed };
}

/** Key of the record of a drill that begins now. */
export function keyOfDrill({ bucket, now }: StageContext, subvolume: string): string {
  return drillKey(bucket.prefix, subvolume, formatTimestamp(now()));
}

/**
 * Writes a record: a new one where nothing is, else over what this drill, or one that it continues, has written before.
 * @throws ToolError when it cannot be written
 */
export async function writeRecord(
  { bucket, settings }: StageContext,
  key: string,
  record: DrillRecord,
  isNew: boolean,
): Promise<void> {
  const text = `${JSON.stringify(record, null, 2)}\n`;
  const there = isNew ? undefined : await readDocument(bucket, key, MAX_DRILL_BYTES);
  const precondition = there ? { etag: there.etag } : ({ absent: true } as const);
  if (await writeDocument(bucket, key, text, writeOptions(settings, 'manifest'), precondition)) return;
  // The answer to an earlier attempt was lost.
  if ((await readDocument(bucket, key, MAX_DRILL_BYTES))?.text === text) return;
  throw new ToolError(`${key} was written by another drill meanwhile`, {
    hint: 'run one drill of a subvolume at a time',
  });
}
