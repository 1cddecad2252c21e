/** A proxy on loopback that passes requests on, and spoils the answers that a test names. */
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream';

/** A request as it arrived. */
export interface ProxiedRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly sizeBytes: number;
}

/** An answer on its way back. */
export interface ProxiedAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** Sends only so many bytes of the body, then breaks the connection or falls silent. */
  readonly cut?: { readonly afterBytes: number; readonly how: 'break' | 'silence' };
}

/** What happens to a request: `before` answers in the server's place or breaks off, `after` changes the answer. */
export interface Fault {
  readonly matches: (request: ProxiedRequest) => boolean;
  /** How many matching requests meet it; all when it is left out. */
  readonly times?: number;
  readonly before?: () => ProxiedAnswer | 'break' | Promise<never>;
  readonly after?: (answer: ProxiedAnswer) => ProxiedAnswer | Promise<ProxiedAnswer>;
}

/** A running proxy. */
export interface FaultyProxy {
  readonly endpoint: string;
  readonly requests: ProxiedRequest[];
  /** Replaces the faults and forgets the requests. */
  expect(...faults: readonly Fault[]): void;
  stop(): Promise<void>;
}

/** An S3 error as a server would answer it. */
export function errorAnswer(status: number, code: string): ProxiedAnswer {
  const body = Buffer.from(
    `<?xml version="1.0"?><Error><Code>${code}</Code><Message>${code}</Message></Error>`,
  );
  return { status, headers: { 'content-type': 'application/xml' }, body };
}

/** The answer without the checksums that S3 gives. */
export function withoutChecksums(answer: ProxiedAnswer): ProxiedAnswer {
  const kept = Object.entries(answer.headers).filter(([name]) => !name.startsWith('x-amz-checksum'));
  return { ...answer, headers: Object.fromEntries(kept) };
}

/** Starts a proxy in front of a server on loopback. */
export async function startProxy(serverPort: number): Promise<FaultyProxy> {
  const requests: ProxiedRequest[] = [];
  const faults: { readonly fault: Fault; left: number }[] = [];

  const server = createServer(async (incoming, outgoing) => {
    if (faults.length === 0) {
      passThrough(serverPort, incoming, outgoing, (request) => requests.push(request));
      return;
    }
    // Whoever asked may be gone before all was said.
    const body = await bytesOf(incoming).catch(() => undefined);
    if (!body) return;
    const { method = '', url = '', headers } = incoming;
    const seen = { method, url, headers, sizeBytes: body.length };
    requests.push(seen);
    const armed = faults.find(({ fault, left }) => left > 0 && fault.matches(seen));
    if (armed) armed.left--;
    // The server may be gone, too.
    const answer = await (armed?.fault.before?.() ??
      passOn(serverPort, incoming, body).catch(() => 'break' as const));
    if (answer === 'break') {
      outgoing.destroy();
      return;
    }
    const { status, headers: answered, body: sent, cut } = (await armed?.fault.after?.(answer)) ?? answer;
    const length = answered['content-length'] ?? String(sent.length);
    outgoing.writeHead(status, { ...answered, 'content-length': length });
    if (!cut) outgoing.end(sent);
    else {
      outgoing.write(sent.subarray(0, cut.afterBytes), () => {
        if (cut.how === 'break') outgoing.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    expect(...list) {
      faults.splice(
        0,
        faults.length,
        ...list.map((fault) => ({ fault, left: fault.times ?? Number.POSITIVE_INFINITY })),
      );
      requests.length = 0;
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Passes a request and its answer on as they come: where nothing is spoiled, no body has to be held. */
function passThrough(
  port: number,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  onArrived: (request: ProxiedRequest) => void,
): void {
  const { method = '', url = '', headers: all } = incoming;
  let sizeBytes = 0;
  let isSeen = false;
  const arrived = () => {
    if (!isSeen) onArrived({ method, url, headers: all, sizeBytes });
    isSeen = true;
  };
  const { expect: _, ...headers } = all;
  const onward = request({ ...way(port), method, path: url, headers }, (answer) => {
    arrived();
    outgoing.writeHead(answer.statusCode ?? 0, keptHeaders(answer));
    pipeline(answer, outgoing, () => undefined);
  });
  incoming.on('data', (piece: Buffer) => {
    sizeBytes += piece.length;
  });
  incoming.on('end', arrived);
  // Whoever asked may be gone before all was said, and so may the server.
  pipeline(incoming, onward, () => undefined);
  onward.on('error', () => outgoing.destroy());
  outgoing.on('close', () => onward.destroy());
}

/** A connection for each request: one that was kept may be closed by the server just as it is used again. */
const way = (port: number) => ({ port, host: '127.0.0.1', agent: false }) as const;

/** As `buffer` of node:stream/consumers, which takes the way through a Blob: two more copies, and twice the work of the collector. */
async function bytesOf(message: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of message) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}

async function passOn(port: number, incoming: IncomingMessage, body: Buffer): Promise<ProxiedAnswer> {
  // The body is here already, so there is nothing to wait for.
  const { expect: _, ...headers } = incoming.headers;
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    request({ ...way(port), method: incoming.method, path: incoming.url, headers }, resolve)
      .on('error', reject)
      .end(body);
  });
  return { status: answer.statusCode ?? 0, headers: keptHeaders(answer), body: await bytesOf(answer) };
}

/** The headers of an answer that are not about the connection it came by. */
function keptHeaders(answer: IncomingMessage): Record<string, string> {
  const kept = Object.entries(answer.headers).filter(
    ([name]) => !['connection', 'keep-alive', 'transfer-encoding'].includes(name),
  );
  return Object.fromEntries(kept.map(([name, value]) => [name, String(value)]));
}
