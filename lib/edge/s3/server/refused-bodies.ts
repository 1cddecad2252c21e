/**
 * Requests that were answered before their body was sent: refused, as a rule. Such a connection is closed, as RFC 9112, section 9.5, asks
 * of a client. Node would go on sending what the server has refused. Where the server reads no more, the connection would stay taken for
 * ever: an agent gets it back only when the request has been written.
 */
import { type ClientRequest, IncomingMessage } from 'node:http';
import type { S3Client } from '@aws-sdk/client-s3';
import { HttpResponse } from '@smithy/core/protocols';

/** Closes the connections of requests that are not fully sent when their answer has been read. */
export function giveUpRefusedBodies(client: S3Client): void {
  client.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args);
      const { response } = result;
      if (HttpResponse.isInstance(response) && response.body instanceof IncomingMessage) {
        const answer = response.body as IncomingMessage & { readonly req: ClientRequest };
        answer.once('end', () => {
          // The last bytes may be on their way through Node: then the request is over in this turn.
          setImmediate(() => answer.req.writableFinished || answer.req.destroy());
        });
      }
      return result;
    },
    { step: 'deserialize', priority: 'low', name: 'giveUpRefusedBodies' },
  );
}
