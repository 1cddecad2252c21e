/** What the server takes of what a backup will send: found out as a backup finds it out before its first part. */
import { chooseLayout } from '../../../../core/stream/part-sizes.ts';
import { formatSize } from '../../../../core/units.ts';
import type { Bucket } from '../../../../edge/s3/s3-client.ts';
import { probeOnce } from '../../../backup/probe-server.ts';
import { doubtful, type Finding, failure, fine } from '../check.ts';
import type { Patient } from '../patient.ts';

/** What came of it. */
export interface ServerTrial {
  /** Why a backup cannot be sent: storage class, encryption or size of a part are refused. */
  readonly refusal?: Finding;
}

/** Tries it for a backup; other roles send nothing. */
export async function tryServer(bucket: Bucket, { role, settings }: Patient): Promise<ServerTrial> {
  if (role !== 'backup') return {};
  const [first] = settings.SUBVOLUMES ?? [];
  try {
    await probeOnce({ bucket, settings }, first?.name ?? 'doctor');
    return {};
  } catch (error) {
    bucket.signal.throwIfAborted();
    return { refusal: failure(error) };
  }
}

/** Tells what is known of the server when permissions were tried, too: some of its habits show only then. */
export function describeServer(
  bucket: Bucket,
  { role, settings }: Patient,
  { refusal }: ServerTrial,
): readonly Finding[] {
  if (role !== 'backup') return [];
  return refusal ? [refusal] : describeHabits(bucket, settings);
}

function describeHabits({ habits, isAws }: Bucket, settings: Patient['settings']): readonly Finding[] {
  const { S3_PREFIX, SSE, STORAGE_CLASS_CHUNKS, CHUNK_SIZE, PART_SIZE } = settings;
  const { partSizeBytes } = chooseLayout(CHUNK_SIZE, PART_SIZE);
  const checksums =
    habits.checksums === 'sha256' ? 'SHA-256' : 'Content-MD5 (it refuses the headers of SHA-256)';
  const taken = [
    `SSE=${SSE}`,
    STORAGE_CLASS_CHUNKS,
    ...(isAws ? [] : [`parts of ${formatSize(partSizeBytes)}`]),
  ];
  const takes = fine(`takes ${taken.join(', ')}, with ${checksums}`);
  if (habits.keepsConditions) return [takes, fine('conditional writes keep two writers apart')];
  const says =
    'the server has no conditional writes, which keep apart two hosts that write at the same moment';
  if (S3_PREFIX !== undefined)
    return [takes, fine(`${says}: S3_PREFIX=${S3_PREFIX} has to be this host's alone`)];
  return [takes, doubtful(says, 'set S3_PREFIX to a name that no other host has')];
}
