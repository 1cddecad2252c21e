/** A service that is pinged, as healthchecks is. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A request that it got. */
export interface ReceivedPing {
  readonly path: string;
  readonly body: string;
}

/** A server that remembers what it was sent; `answer` may answer late, or not at all. */
export async function startPingServer(
  answer: (response: ServerResponse, ping: ReceivedPing) => void = (response) => response.end('OK'),
) {
  const pings: ReceivedPing[] = [];
  const server = createServer(async (request: IncomingMessage, response) => {
    let body = '';
    for await (const text of request.setEncoding('utf8')) body += text;
    const ping = { path: request.url ?? '', body };
    pings.push(ping);
    answer(response, ping);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    pings,
    url: `http://127.0.0.1:${port}`,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
