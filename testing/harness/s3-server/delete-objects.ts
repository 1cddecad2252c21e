/** DeleteObjects: up to 1,000 keys in one request (https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html). */
import { z } from 'zod';
import { type Call, type S3Response, xmlResponse } from './call.ts';
import { deletePrecondition } from './conditions.ts';
import { receiveText } from './document.ts';
import { S3Error } from './errors.ts';
import { requireDigest } from './integrity.ts';
import { buildDocument, parseDocument, type XmlNode } from './xml.ts';

const MAX_KEYS = 1000;

const deleteSchema = z.object({
  Object: z.array(
    z.object({ Key: z.string().min(1), ETag: z.string().optional(), VersionId: z.undefined().optional() }),
  ),
  Quiet: z.string().optional(),
});

async function deleteOne(
  call: Call,
  bucket: string,
  key: string,
  etag: string | undefined,
): Promise<S3Error | undefined> {
  try {
    await call.store.deleteObject(bucket, key, deletePrecondition(key, etag));
    return undefined;
  } catch (error) {
    // One key's refusal is an entry in the answer; anything else fails the request.
    if (error instanceof S3Error) {
      return error;
    }
    throw error;
  }
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
  for (const { Key, ETag } of parsed.data.Object) {
    const error = await deleteOne(call, bucket, Key, ETag);
    if (error !== undefined) {
      Failed.push({ Key, Code: error.code, Message: error.message });
    } else if (parsed.data.Quiet !== 'true') {
      Deleted.push({ Key });
    }
  }
  return xmlResponse(buildDocument('DeleteResult', { Deleted, Error: Failed }));
}
