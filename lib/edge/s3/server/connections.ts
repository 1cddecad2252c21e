/** Connections to a server: kept open, with the certificates that are trusted, and through a proxy where one leads there. */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { ToolError } from '../../../core/errors.ts';
import type { SettingValues } from '../../../core/settings/settings.ts';
import { proxyFor } from './proxy.ts';

/** What requests take their connections from. */
export interface Connections {
  readonly httpAgent: HttpAgent;
  readonly httpsAgent: HttpAgent;
}

/**
 * Prepares connections; none is made yet.
 * @param server the address of the bucket, by which NO_PROXY is judged
 * @param profileCaBundle `ca_bundle` of the AWS profile, which AWS_CA_BUNDLE wins over
 * @throws ToolError (usage) when the file of certificates cannot be used
 */
export async function openConnections(
  settings: SettingValues,
  server: URL,
  profileCaBundle: string | undefined,
): Promise<Connections> {
  const sockets = { keepAlive: true, maxSockets: settings.CONCURRENCY + 8 };
  const bundle = settings.AWS_CA_BUNDLE ?? profileCaBundle;
  const setting = settings.AWS_CA_BUNDLE === undefined ? 'ca_bundle of the AWS profile' : 'AWS_CA_BUNDLE';
  const trusted = bundle === undefined ? {} : { ca: await readCertificates(setting, bundle) };
  const proxy = proxyFor(server, settings);
  const httpsAgent =
    proxy === undefined
      ? new HttpsAgent({ ...sockets, ...trusted })
      : new (await import('./tunnels.ts')).Tunnels(proxy, { ...sockets, ...trusted });
  return { httpAgent: new HttpAgent(sockets), httpsAgent };
}

/** Certificates instead of those that Node brings, as the aws command takes AWS_CA_BUNDLE. */
async function readCertificates(setting: string, file: string): Promise<string> {
  try {
    const text = await readFile(file, 'utf8');
    // Node would take a file without any certificate for one that trusts no certificate.
    new X509Certificate(text);
    return text;
  } catch (cause) {
    const { message } = cause as Error;
    throw new ToolError(`${setting}: cannot read certificates from ${file}: ${message}`, {
      kind: 'usage',
      hint: 'name a file of PEM certificates that this user can read',
      cause,
    });
  }
}
