/** What the embedded server was asked, by its own record: a witness of what the tool really sent, and in which order. */
import { z } from 'zod';
import type { StateWithS3 } from '../runner/demand-setup.ts';
import type { Places } from '../runner/places.ts';
import { readToolSettings } from './bucket.ts';
import type { JournalLine } from './kill-upload.ts';

const requestSchema = z.object({
  operation: z.string(),
  key: z.string().optional(),
  partNumber: z.int().optional(),
  status: z.int(),
});

/** One request, in order of arrival; status is 0 where it was not answered. */
export type ServedRequest = z.output<typeof requestSchema>;

/** Every request of the run so far; undefined for a server that keeps no such record. */
export async function servedRequests(
  { toolSettings }: Places,
  { s3 }: StateWithS3,
): Promise<readonly ServedRequest[] | undefined> {
  if (s3.server !== 'local') return undefined;
  const { AWS_ENDPOINT_URL_S3: endpoint, AWS_SECRET_ACCESS_KEY: secret } =
    await readToolSettings(toolSettings);
  const response = await fetch(`${endpoint}/-/control/requests`, {
    headers: { authorization: `Bearer ${secret}` },
  });
  return z.array(requestSchema).parse(await response.json());
}

/** The parts that the journal of the killed run names as stored and that the server was sent once more. */
export function sentAgain(
  journal: readonly JournalLine[],
  requests: readonly ServedRequest[],
): readonly string[] {
  const keys = new Map(
    journal.filter(({ event }) => event === 'chunk-begun').map(({ index, key }) => [index, key]),
  );
  const stored = journal
    .filter(({ event }) => event === 'part-stored')
    .map(({ index, number }) => `${keys.get(index)} ${number}`);
  const sent = requests
    .filter(({ operation }) => operation === 'UploadPart')
    .map(({ key, partNumber }) => `${key} ${partNumber}`);
  return sent.filter((part) => stored.includes(part));
}
