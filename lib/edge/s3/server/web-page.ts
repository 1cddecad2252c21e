/**
 * Web pages where S3 should answer: the console of a server under another port, the log-in page of a network. Their status is that of
 * success, and the SDK reads an empty listing out of them.
 */
import type { S3Client } from '@aws-sdk/client-s3';
import { HttpResponse } from '@smithy/core/protocols';

/** A page came, and no answer. */
export class WebPage extends Error {
  override readonly name = 'WebPage';

  constructor() {
    super('a web page came instead of an answer of S3');
  }
}

/** Lets requests fail that a web page answers. An object may be one, but has an ETag. */
export function refuseWebPages(client: S3Client): void {
  client.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args);
      const { response } = result;
      if (!HttpResponse.isInstance(response)) return result;
      const { 'content-type': type = '', etag } = response.headers;
      if (response.statusCode >= 300 || !/^text\/html\b/i.test(type) || etag !== undefined) return result;
      response.body?.destroy?.();
      throw new WebPage();
    },
    { step: 'deserialize', priority: 'low', name: 'refuseWebPages' },
  );
}
