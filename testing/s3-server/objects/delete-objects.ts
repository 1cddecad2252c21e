/** DeleteObjects: up to 1,000 keys in one request (https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html). */
import { z } from 'zod';
import { deleteActions } from '../auth/actions.ts';
import { type Call, type S3Response, xmlResponse } from '../http/call.ts';
import { receiveText } from '../http/document.ts';
import { S3Error } from '../http/errors.ts';
import { requireDigest } from '../http/integrity.ts';
import { buildDocument, parseDocument, type XmlNode } from '../http/xml.ts';
import { type Deletion, deleteOne, type Removal } from './delete-one.ts';

const MAX_KEYS = 1000;

const deleteSchema = z.object({
  Object: z.array(
    z.object({ Key: z.string().min(1), ETag: z.string().optional(), VersionId: z.string().optional() }),
  ),
  Quiet: z.string().optional(),
});

/** One key's refusal is an entry in the answer; anything else fails the request. */
async function attempt(call: Call, bucket: string, deletion: Deletion): Promise<Removal | S3Error> {
  try {
    call.authorize(deleteActions(deletion.versionId, deletion.etag), deletion.key);
    return await deleteOne(call, bucket, deletion);
  } catch (error) {
    if (error instanceof S3Error) {
      return error;
    }
    throw error;
  }
}

function describe({ key, versionId }: Deletion, removal: Removal): XmlNode {
  return {
    Key: key,
    VersionId: versionId,
    ...(removal.marker === undefined ? {} : { DeleteMarker: true, DeleteMarkerVersionId: removal.versionId }),
  };
}

/**
 * Deletes each key; quiet answers with failures only. S3 wants the body vouched for by Content-MD5 or a checksum.
 * @throws S3Error InvalidRequest, MalformedXML, NoSuchBucket
 */
export async function deleteObjects(call: Call): Promise<S3Response> {
  const bucket = call.request.bucket ?? '';
  requireDigest(call);
  const parsed = deleteSchema.safeParse(parseDocument(await receiveText(call), 'Delete'));
  if (!parsed.success || parsed.data.Object.length > MAX_KEYS) {
    throw new S3Error('MalformedXML');
  }
  call.store.bucket(bucket);
  const Deleted: XmlNode[] = [];
  const Failed: XmlNode[] = [];
  for (const { Key, ETag, VersionId } of parsed.data.Object) {
    const deletion = { key: Key, versionId: VersionId, etag: ETag };
    const outcome = await attempt(call, bucket, deletion);
    if (outcome instanceof S3Error) {
      Failed.push({ Key, VersionId, Code: outcome.code, Message: outcome.message });
    } else if (parsed.data.Quiet !== 'true') {
      Deleted.push(describe(deletion, outcome));
    }
  }
  return xmlResponse(buildDocument('DeleteResult', { Deleted, Error: Failed }));
}
