/** Connections that are kept for the next request to the same server. */
import { Agent as PlainAgent } from 'node:http';
import { Agent as TlsAgent } from 'node:https';
import { connect as connectPlain, isIP } from 'node:net';
import { connect as connectTls } from 'node:tls';
import {
  type Connect,
  Connection,
  type ConnectionTimeouts,
  type Exchange,
  StaleConnection,
} from './connection.ts';
import type { Answer } from './response-reader.ts';

/** Where a request goes. */
export interface Origin {
  readonly isTls: boolean;
  /** A name, or an address without brackets. */
  readonly host: string;
  readonly port: number;
  /** For `net.connect` or `tls.connect`: certificates, addresses and so on. */
  readonly options: object;
}

/**
 * What an agent of node:http or node:https connects with, where it connects to the server itself. Those for proxies are classes of their
 * own, or have an option for it.
 */
export function directOptions(agent: unknown, isTls: boolean): object | undefined {
  const plain: unknown = (isTls ? TlsAgent : PlainAgent).prototype;
  if (typeof agent !== 'object' || agent === null || Object.getPrototypeOf(agent) !== plain) return undefined;
  const options = 'options' in agent ? agent.options : undefined;
  if (typeof options !== 'object' || options === null || 'proxyEnv' in options) return undefined;
  return options;
}

/** The connections of one client. */
export class ConnectionPool {
  readonly #timeouts: ConnectionTimeouts;
  readonly #connections = new Set<Connection>();
  readonly #idle = new Map<string, Connection[]>();

  constructor(timeouts: ConnectionTimeouts) {
    this.#timeouts = timeouts;
  }

  /** Sends a request over a connection that is idle, or a new one. @throws what `Connection.send` does, but no StaleConnection */
  async send(origin: Origin, exchange: Exchange): Promise<Answer> {
    const name = `${origin.isTls}:${origin.host}:${origin.port}`;
    const idle = this.#idle.get(name) ?? [];
    this.#idle.set(name, idle);
    for (;;) {
      exchange.signal.throwIfAborted();
      const connection = idle.pop() ?? this.#open(origin);
      try {
        if (connection.isOpen) return await connection.send(exchange);
      } catch (error) {
        // A GET may be sent twice (RFC 9110, section 9.2.2).
        if (!(error instanceof StaleConnection)) throw error;
      } finally {
        if (connection.isOpen) idle.push(connection);
        else this.#connections.delete(connection);
      }
    }
  }

  /** Closes all; exchanges that are under way fail. */
  close(): void {
    for (const connection of this.#connections) connection.close();
    this.#connections.clear();
    this.#idle.clear();
  }

  #open(origin: Origin): Connection {
    const connection = new Connection(connector(origin), this.#timeouts);
    this.#connections.add(connection);
    return connection;
  }
}

function connector({ isTls, host, port, options }: Origin): Connect {
  const address = { host, port, keepAlive: true };
  if (!isTls) return (onread) => connectPlain({ ...options, ...address, onread });
  // No name is sent for an address (RFC 6066, section 3).
  const servername = isIP(host) === 0 ? host : '';
  return (onread) => {
    const secured = { ALPNProtocols: ['http/1.1'], servername, ...options, ...address, onread };
    return connectTls(secured);
  };
}
