/** Tunnels through a proxy. The module is loaded only where there is one: start-up is part of every command. */
import type { AgentOptions, ClientRequest } from 'node:http';
import { HttpsProxyAgent } from 'https-proxy-agent';
import { codeOf } from '../../files/files.ts';

type ConnectOptions = Parameters<HttpsProxyAgent<string>['connect']>[1];

/** A proxy that cannot be reached, or does not let a connection through. Its words are the proxy's, or the network's. */
export class ProxyFailure extends Error {
  override readonly name = 'ProxyFailure';
  /** Of the network, where the proxy was not reached. */
  readonly code: string | undefined;
  /** The proxy's own answer, in the place where the SDK puts a server's. */
  readonly $metadata: { readonly httpStatusCode?: number };

  constructor(message: string, options: { cause?: unknown; code?: string | undefined; status?: number }) {
    super(message, { cause: options.cause });
    this.code = options.code;
    this.$metadata = options.status === undefined ? {} : { httpStatusCode: options.status };
  }
}

/** An agent whose connections go through the proxy; `ca` are the certificates that are trusted, of proxy and server. */
export class Tunnels extends HttpsProxyAgent<string> {
  readonly #trusted: { readonly ca?: string };

  constructor(proxy: URL, options: AgentOptions & { readonly ca?: string }) {
    super(proxy, options);
    this.#trusted = options.ca === undefined ? {} : { ca: options.ca };
  }

  /** Always: the package would guess by the call stack, find another answer once a connection is free, and open a new one each time. */
  override isSecureEndpoint(): boolean {
    return true;
  }

  override async connect(request: ClientRequest, options: ConnectOptions) {
    const { host } = this.proxy;
    let refusal: ProxyFailure | undefined;
    request.once('proxyConnect', (answer: { readonly statusCode: number; readonly statusText: string }) => {
      const { statusCode: status, statusText } = answer;
      if (status !== 200)
        refusal = new ProxyFailure(`proxy ${host} answered ${status} ${statusText}`, { status });
    });
    // The package hands the request's own options on to the server's TLS, which the certificates are not part of.
    const socket = await super.connect(request, { ...options, ...this.#trusted }).catch((cause: unknown) => {
      const code = codeOf(cause) ?? 'ECONNRESET';
      throw new ProxyFailure(`proxy ${host}: ${(cause as Error).message}`, { cause, code });
    });
    if (refusal === undefined) return socket;
    socket.destroy();
    throw refusal;
  }
}
