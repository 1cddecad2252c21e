/** A small request body that is wanted as text: an XML document. */
import { type BodySink, type BodySource, type ChecksumRules, receiveBody } from './body.ts';
import { S3Error } from './errors.ts';

/** No document of S3's API is larger: 10,000 parts with a checksum each take about 2 MiB. */
const MAX_DOCUMENT_BYTES = 8 * 1024 * 1024;

/**
 * Reads a small body, an XML document, into memory, verified as any body is.
 * @throws S3Error as receiveBody, and MaxMessageLengthExceeded above 8 MiB
 */
export async function receiveText(source: BodySource, rules?: ChecksumRules): Promise<string> {
  const slices: Buffer[] = [];
  let bytes = 0;
  const sink: BodySink = async (more) => {
    bytes += more.reduce((sum, slice) => sum + slice.length, 0);
    if (bytes > MAX_DOCUMENT_BYTES) {
      throw new S3Error('MaxMessageLengthExceeded');
    }
    slices.push(...more);
  };
  await receiveBody(source, sink, rules);
  return Buffer.concat(slices).toString('utf8');
}
