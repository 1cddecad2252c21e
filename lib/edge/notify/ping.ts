/**
 * Pings a service that watches timers, by the convention of healthchecks (https://healthchecks.io/docs/http_api/): the address itself
 * for success, `/start` and `/fail` below it. The path of the address is a secret: only its host is ever named.
 */
import { readFile } from 'node:fs/promises';
import { Agent as HttpAgent, request as requestHttp } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { rootCertificates } from 'node:tls';
import { ToolError } from '../../core/errors.ts';
import type { SettingValues } from '../../core/settings/settings.ts';
import { proxyFor } from '../s3/server/proxy.ts';

/** Of the settings, what leads out of the network. */
type Network = Pick<SettingValues, 'HTTPS_PROXY' | 'NO_PROXY' | 'AWS_CA_BUNDLE'>;

/** What is reported. */
export interface Ping {
  readonly url: string;
  readonly signal: 'start' | 'success' | 'fail';
  /** Sent as the body; healthchecks keeps the first 100 kB. */
  readonly body?: string;
}

/** How long it may take. */
export interface PingPatience {
  readonly attempts: number;
  /** For one attempt, and between two of them. */
  readonly timeoutMs: number;
  readonly waitMs: number;
}

/** About half a minute at most, and only where the service does not answer. */
export const pingPatience: PingPatience = { attempts: 3, timeoutMs: 8000, waitMs: 1000 };

const mostBodyBytes = 10_000;

/**
 * Pings, through the proxy that requests to S3 take. Certificates of AWS_CA_BUNDLE are trusted beside the usual ones: the service
 * need not be where the bucket is.
 * @throws ToolError after the last attempt: which host, and why
 */
export async function ping(
  { url, signal, body = '' }: Ping,
  network: Network,
  { attempts, timeoutMs, waitMs }: PingPatience = pingPatience,
): Promise<void> {
  const address = addressOf(url, signal);
  let failure = '';
  try {
    const agent = await openAgent(address, network);
    try {
      for (let attempt = 1; attempt <= attempts; attempt++) {
        if (attempt > 1) await sleep(waitMs);
        const answer = await send(address, body.slice(0, mostBodyBytes), { agent, timeoutMs });
        if (answer === undefined) return;
        failure = answer;
      }
    } finally {
      agent.destroy();
    }
  } catch (error) {
    failure = wordsOf(error);
  }
  throw new ToolError(`cannot ping NOTIFY_URL at ${address.host}: ${failure.replaceAll(url, 'NOTIFY_URL')}`);
}

async function openAgent(address: URL, network: Network): Promise<HttpAgent> {
  if (address.protocol === 'http:') return new HttpAgent();
  const { AWS_CA_BUNDLE: bundle } = network;
  const trusted =
    bundle === undefined ? {} : { ca: [...rootCertificates, await readFile(bundle, 'utf8')].join('\n') };
  const proxy = proxyFor(address, network);
  if (proxy === undefined) return new HttpsAgent(trusted);
  return new (await import('../s3/server/tunnels.ts')).Tunnels(proxy, trusted);
}

/** What stands behind "?" stays behind it. */
function addressOf(url: string, signal: Ping['signal']): URL {
  const address = new URL(url);
  if (signal !== 'success') address.pathname = `${address.pathname.replace(/\/+$/, '')}/${signal}`;
  return address;
}

/** One attempt. @returns why it failed; undefined where it did not */
function send(
  address: URL,
  body: string,
  { agent, timeoutMs }: { readonly agent: HttpAgent; readonly timeoutMs: number },
): Promise<string | undefined> {
  const request = address.protocol === 'https:' ? requestHttps : requestHttp;
  const bytes = Buffer.from(body);
  const headers = { 'content-type': 'text/plain; charset=utf-8', 'content-length': bytes.length };
  return new Promise((resolve) => {
    const sent = request(address, { method: 'POST', agent, headers }, (answer) => {
      clearTimeout(timer);
      const { statusCode = 0 } = answer;
      // Nothing of the answer matters, and it may never end.
      answer.destroy();
      resolve(statusCode >= 200 && statusCode < 300 ? undefined : `it answered ${statusCode}`);
    });
    // Of connecting and answering together; the option `timeout` is only of silence.
    const timer = setTimeout(() => {
      resolve(`no answer within ${timeoutMs / 1000} s`);
      sent.destroy();
    }, timeoutMs);
    sent.on('error', (error) => {
      clearTimeout(timer);
      resolve(wordsOf(error));
    });
    sent.end(bytes);
  });
}

/** Where several addresses were tried, Node's error has a code and no words. */
function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as NodeJS.ErrnoException;
  return error.message || code || error.name;
}
