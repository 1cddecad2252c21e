/** What stands between a host and a server out there: TLS with a certificate of a private CA, and a proxy. Both on loopback. */
import { readFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, connect, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import { shell } from '../../testing/harness/processes/shell.ts';

/** A listener, and how to end it with all its connections. */
export interface Front {
  readonly port: number;
  stop(): Promise<void>;
}

async function listen(server: Server): Promise<Front> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** Two sockets as one connection; the end of either is the end of both. */
function joinSockets(left: Socket, right: Socket): void {
  for (const [from, to] of [
    [left, right],
    [right, left],
  ] as const) {
    from.pipe(to);
    from.on('error', () => to.destroy());
    from.once('close', () => to.destroy());
  }
}

/** TLS in front of a port; the certificate is for `names`, and is its own CA. Gives the certificate's file, too. */
export async function startTls(
  port: number,
  directory: string,
  names = 'DNS:s3.localhost,DNS:*.s3.localhost',
): Promise<Front & { readonly certificate: string }> {
  const [key, certificate] = [join(directory, 'key.pem'), join(directory, 'certificate.pem')];
  await shell`openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=s3.localhost -addext subjectAltName=${names} -keyout ${key} -out ${certificate}`;
  const options = { key: readFileSync(key), cert: readFileSync(certificate) };
  const server = createTlsServer(options, (socket) => joinSockets(socket, connect(port, '127.0.0.1')));
  server.on('tlsClientError', () => undefined);
  return { ...(await listen(server)), certificate };
}

/** A proxy that leads every CONNECT to one port, whatever name it asks for. `refusal` is answered instead, where it is given. */
export async function startConnectProxy(port: number): Promise<
  Front & {
    readonly asked: string[];
    readonly authorizations: (string | undefined)[];
    refusal: string | undefined;
  }
> {
  const asked: string[] = [];
  const authorizations: (string | undefined)[] = [];
  const server = createHttpServer();
  const state = { refusal: undefined as string | undefined };
  server.on('connect', ({ url = '', headers }, socket: Socket) => {
    asked.push(url);
    authorizations.push(headers['proxy-authorization']);
    if (state.refusal !== undefined) {
      socket.end(`HTTP/1.1 ${state.refusal}\r\ncontent-length: 0\r\n\r\n`);
      return;
    }
    const upstream = connect(port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      joinSockets(socket, upstream);
    });
    upstream.on('error', () => socket.destroy());
  });
  return Object.assign(state, await listen(server), { asked, authorizations });
}
