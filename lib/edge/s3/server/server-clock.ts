/** The server's clock, which every answer carries, refusals too. */
import type { S3Client } from '@aws-sdk/client-s3';
import { HttpResponse } from '@smithy/core/protocols';

/**
 * Listens to the answers that a client gets.
 * @param now the clock of this host
 * @returns by how many seconds this host was ahead when the last answer came; undefined before there was one
 */
export function watchClock(client: S3Client, now: () => Date): () => number | undefined {
  let aheadSeconds: number | undefined;
  client.middlewareStack.add(
    (next) => async (args) => {
      const answer = await next(args);
      if (HttpResponse.isInstance(answer.response)) {
        const serverMs = Date.parse(answer.response.headers.date ?? '');
        // The header has whole seconds.
        if (!Number.isNaN(serverMs)) aheadSeconds = Math.trunc((now().getTime() - serverMs) / 1000);
      }
      return answer;
    },
    { step: 'deserialize', priority: 'low', name: 'watchClock' },
  );
  return () => aheadSeconds;
}
