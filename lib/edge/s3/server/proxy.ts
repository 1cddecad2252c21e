/**
 * Whether a server is reached through the proxy. HTTPS_PROXY and NO_PROXY are read as curl and the aws command read them
 * (https://everything.curl.dev/usingcurl/proxies/env.html); packages that read them know other rules for names below a domain.
 */
import { BlockList, isIP } from 'node:net';
import type { SettingValues } from '../../../core/settings/settings.ts';

/** The proxy for a server; undefined where it is reached without one. Plain http has no proxy here. */
export function proxyFor(
  server: URL,
  { HTTPS_PROXY, NO_PROXY = '' }: Pick<SettingValues, 'HTTPS_PROXY' | 'NO_PROXY'>,
): URL | undefined {
  if (HTTPS_PROXY === undefined || server.protocol !== 'https:' || isExempt(server, NO_PROXY))
    return undefined;
  return new URL(HTTPS_PROXY);
}

function isExempt(server: URL, list: string): boolean {
  const host = server.hostname.replace(/^\[|\]$/g, '').toLowerCase();
  const port = server.port || '443';
  return list
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .some((entry) => isNamed(host, port, entry.toLowerCase()));
}

/** `*`, an address, a network such as `10.0.0.0/8`, or a domain and all below it, with or without a leading dot and a port. */
function isNamed(host: string, port: string, entry: string): boolean {
  if (entry === '*') return true;
  if (entry.includes('/')) return isWithin(host, entry);
  const [, name = '', ofPort] =
    /^\[?(.*?)\]?(?::(\d+))?$/.exec(isIP(entry) === 6 ? `[${entry}]` : entry) ?? [];
  if (ofPort !== undefined && ofPort !== port) return false;
  const domain = name.replace(/^\*?\./, '');
  return host === domain || (isIP(host) === 0 && host.endsWith(`.${domain}`));
}

function isWithin(host: string, network: string): boolean {
  const [address = '', bits = ''] = network.split('/');
  const family = isIP(address);
  if (family === 0 || isIP(host) !== family || !/^\d{1,3}$/.test(bits)) return false;
  if (Number(bits) > (family === 4 ? 32 : 128)) return false;
  const list = new BlockList();
  const type = family === 4 ? 'ipv4' : 'ipv6';
  list.addSubnet(address, Number(bits), type);
  return list.check(host, type);
}
