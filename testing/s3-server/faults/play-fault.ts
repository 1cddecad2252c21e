/** Plays a fault to a client: what its rule says happens to the answer, the body or the connection. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { S3Response } from '../http/call.ts';
import type { ErrorCode } from '../http/errors.ts';
import type { RequestRecord, S3Request } from '../http/request.ts';
import {
  cutAfter,
  flippedAt,
  pause,
  slowly,
  spoilBody,
  stalledAfter,
  streamOf,
} from '../http/spoiled-body.ts';
import type { FaultRule } from './fault-rules.ts';

/** A request that is to meet a fault, and the server's usual ways with it. */
export interface Exchange {
  readonly request: S3Request;
  readonly record: RequestRecord;
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  /** Runs the operation. */
  readonly respond: (request: S3Request) => Promise<S3Response>;
  /** The answer for an error that was not the operation's. */
  readonly refuse: (code: ErrorCode) => S3Response;
  /** Answers as usual. */
  readonly send: (response: S3Response) => void;
  /** Takes the connection from the framework, and returns the headers an answer would have. */
  readonly takeOver: (response?: S3Response) => Readonly<Record<string, string>>;
}

/** Ends the connection with a reset (RST), which a client cannot take for an answer's end. */
function reset({ incoming, takeOver }: Exchange): void {
  takeOver();
  incoming.socket.resetAndDestroy();
}

/** Reads the body and forgets it. */
async function drain({ request, record }: Exchange): Promise<void> {
  for await (const slice of request.stream.iterator({ destroyOnReturn: false })) {
    record.bytesReceived += (slice as Buffer).length;
  }
}

/** Sends the beginning of an answer, at least one byte less than it has, and closes the connection in order (FIN). */
async function truncate(exchange: Exchange, response: S3Response, bytes: number): Promise<void> {
  const { outgoing, incoming } = exchange;
  const cut = spoilBody(response, (pieces, length) => cutAfter(pieces, Math.min(bytes, length - 1)));
  if (cut.body === undefined) {
    exchange.send(response);
    return;
  }
  outgoing.writeHead(cut.status, exchange.takeOver(cut));
  outgoing.flushHeaders();
  exchange.record.status = cut.status;
  await pipeline(cut.body, outgoing, { end: false });
  incoming.socket.destroySoon();
}

function withRetryAfter(response: S3Response, seconds: number | undefined): S3Response {
  if (seconds === undefined) return response;
  return { ...response, headers: { ...response.headers, 'retry-after': String(seconds) } };
}

/**
 * Plays the fault; the record's status stays 0 where the client gets no answer.
 * Where a fault is about a byte past the end of the body, it is about the last one, so that a fault that fires is seen.
 */
export async function playFault(rule: FaultRule, exchange: Exchange): Promise<void> {
  const { request, outgoing, respond, send } = exchange;
  const left = new AbortController();
  // Also when the server stops, which closes every connection.
  outgoing.once('close', () => left.abort());
  const gone = left.signal;
  switch (rule.fault) {
    case 'error':
      // Answered before the body is read, as S3 does; Node reads the rest away, so that the client gets the answer.
      send(withRetryAfter(exchange.refuse(rule.code), rule.retryAfter));
      return;
    case 'reset-before':
      reset(exchange);
      return;
    case 'reset-after':
      await drain(exchange);
      reset(exchange);
      return;
    case 'lost-response': {
      const { body } = await respond(request);
      if (typeof body === 'object') {
        body.destroy();
      }
      reset(exchange);
      return;
    }
    case 'stall': {
      const { ms, bytes } = rule;
      const response = await respond(request);
      if (bytes === undefined) {
        await pause(ms, gone);
        send(response);
      } else {
        send(
          spoilBody(response, (pieces, length) =>
            stalledAfter(pieces, Math.min(bytes, length - 1), ms, gone),
          ),
        );
      }
      return;
    }
    case 'slow': {
      const slow = (pieces: AsyncIterable<Buffer>) => slowly(pieces, rule.bytesPerSecond, gone);
      const response = await respond({ ...request, stream: streamOf(request.stream, slow) });
      send(spoilBody(response, slow));
      return;
    }
    case 'truncate':
      await truncate(exchange, await respond(request), rule.bytes);
      return;
    case 'corrupt': {
      const { offset = 0 } = rule;
      const response = await respond(request);
      send(spoilBody(response, (pieces, length) => flippedAt(pieces, Math.min(offset, length - 1))));
      return;
    }
  }
}
