/** TLS in front of a server that speaks none: bytes, ends and resets pass both ways. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { after } from 'node:test';
import { createServer } from 'node:tls';
import { temporaryDirectory } from './temporary-directory.ts';

/** Where it listens, and the certificate that it shows, for `localhost` and 127.0.0.1. */
export interface TlsRelay {
  readonly port: number;
  readonly certificate: string;
  /** Connections so far. */
  readonly connections: () => number;
}

/** Starts a relay that ends with the test file; to be called at the top of it. */
export async function startTlsRelay(port: number): Promise<TlsRelay> {
  const { key, certificate } = makeCertificate();
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer({ key, cert: certificate }, (secure) => {
    connections += 1;
    const plain = connect({ port, host: '127.0.0.1' });
    for (const [one, other] of [
      [secure, plain],
      [plain, secure],
    ] as const) {
      sockets.add(one);
      one.pipe(other);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        sockets.delete(one);
        other.destroySoon();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  after(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return { port: (server.address() as AddressInfo).port, certificate, connections: () => connections };
}

function makeCertificate(): { readonly key: string; readonly certificate: string } {
  const directory = temporaryDirectory('tls-relay');
  const [key, certificate] = [join(directory, 'key'), join(directory, 'certificate')];
  const kind = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  execFileSync('openssl', [...kind, ...names, '-days', '2', '-keyout', key, '-out', certificate], {
    stdio: 'ignore',
  });
  return { key: readFileSync(key, 'utf8'), certificate: readFileSync(certificate, 'utf8') };
}
