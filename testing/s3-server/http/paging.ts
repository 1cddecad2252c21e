/** What the listings share: byte order, page sizes, url encoding, grouping by delimiter. */
import { invalidArgument } from './errors.ts';

/** Compares keys by their UTF-8 bytes, S3's order; JavaScript's own order differs for characters beyond U+FFFF. */
export function compareKeys(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left), Buffer.from(right));
}

/**
 * A whole number from a query parameter, e.g. `max-keys`.
 * @throws S3Error InvalidArgument when it is none, or is not between 0 and 2^31 - 1
 */
export function queryInteger(
  query: Readonly<Record<string, string>>,
  name: string,
  fallback: number,
): number {
  const text = query[name];
  if (text === undefined || text === '') {
    return fallback;
  }
  const value = Number(text);
  if (!/^\d+$/.test(text) || value > 2 ** 31 - 1) {
    throw invalidArgument(name, text, `Argument ${name} must be an integer between 0 and 2147483647`);
  }
  return value;
}

/**
 * The encoder for keys in a listing: url encoding where `encoding-type=url` asks for it.
 * @throws S3Error InvalidArgument for another encoding type
 */
export function keyEncoder(query: Readonly<Record<string, string>>): (key: string) => string {
  const type = query['encoding-type'];
  if (type === undefined) {
    return (key) => key;
  }
  if (type !== 'url') {
    throw invalidArgument('encoding-type', type, 'Invalid Encoding Method specified in Request');
  }
  return (key) => encodeURIComponent(key).replaceAll('%2F', '/');
}

/** One entry of a page: a thing itself, or the common prefix of several. */
export type Entry<Item> =
  | { readonly kind: 'item'; readonly name: string; readonly item: Item }
  | { readonly kind: 'prefix'; readonly name: string };

/** Which of the sorted items belong on a page. */
export interface PageRequest {
  readonly prefix: string;
  readonly delimiter: string;
  readonly size: number;
}

/** A page, and whether there is more behind it. */
export interface Page<Item> {
  readonly entries: readonly Entry<Item>[];
  readonly truncated: boolean;
}

/** Cuts one page from sorted items that already begin behind the marker, rolling keys up to common prefixes. */
export function cutPage<Item>(
  items: Iterable<Item>,
  keyOf: (item: Item) => string,
  isSeen: (name: string) => boolean,
  request: PageRequest,
): Page<Item> {
  const entries: Entry<Item>[] = [];
  let lastPrefix: string | undefined;
  for (const item of items) {
    const key = keyOf(item);
    if (!key.startsWith(request.prefix)) {
      continue;
    }
    const cut = request.delimiter === '' ? -1 : key.indexOf(request.delimiter, request.prefix.length);
    const prefix = cut === -1 ? undefined : key.slice(0, cut + request.delimiter.length);
    if (prefix !== undefined && (prefix === lastPrefix || isSeen(prefix))) {
      continue;
    }
    if (entries.length === request.size) {
      return { entries, truncated: request.size > 0 };
    }
    lastPrefix = prefix;
    entries.push(prefix === undefined ? { kind: 'item', name: key, item } : { kind: 'prefix', name: prefix });
  }
  return { entries, truncated: false };
}
