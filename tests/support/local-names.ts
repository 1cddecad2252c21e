/** Names below `localhost` that lead to this machine, which not every resolver knows: for buckets that are named in the host. */
import dns from 'node:dns';
import { after, before } from 'node:test';

/** For the whole test file: `anything.localhost` is 127.0.0.1. */
export function resolveLocalNames(): void {
  const original = dns.lookup;
  before(() => {
    const lookup = (name: string, ...rest: unknown[]) =>
      Reflect.apply(original, dns, [name.endsWith('.localhost') ? '127.0.0.1' : name, ...rest]);
    dns.lookup = Object.assign(lookup, original) as typeof dns.lookup;
  });
  after(() => {
    dns.lookup = original;
  });
}
