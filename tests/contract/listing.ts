/** The contract of ListObjectsV2: every key once, in order, whatever the pages. */
import assert from 'node:assert/strict';
import {
  ListObjectsV2Command,
  type ListObjectsV2CommandInput,
  type ListObjectsV2CommandOutput,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { assertRefusal, check, freshKey, hexDigest, raw, type Target } from './target.ts';

/** Defines the tests of ListObjectsV2. */
export function listingContract(target: Target): void {
  const { client, bucket: Bucket } = target;

  async function fill(names: readonly string[]): Promise<string> {
    const base = freshKey(target, '');
    await Promise.all(
      names.map((name) => client.send(new PutObjectCommand({ Bucket, Key: base + name, Body: name }))),
    );
    return base;
  }

  /** Every page of a listing; what is listed of each is its keys and prefixes, without their base. */
  async function pages(
    base: string,
    more: Partial<ListObjectsV2CommandInput>,
  ): Promise<{ keys: string[]; prefixes: string[] }[]> {
    const found = [];
    let token: string | undefined;
    do {
      const page: ListObjectsV2CommandOutput = await client.send(
        new ListObjectsV2Command({
          Bucket,
          Prefix: base,
          ...more,
          ...(token === undefined ? {} : { ContinuationToken: token }),
        }),
      );
      const keys = (page.Contents ?? []).map((each) => each.Key?.slice(base.length) ?? '');
      const prefixes = (page.CommonPrefixes ?? []).map((each) => each.Prefix?.slice(base.length) ?? '');
      assert.equal(page.KeyCount, keys.length + prefixes.length);
      found.push({ keys, prefixes });
      token = page.NextContinuationToken;
      assert.equal(page.IsTruncated, token !== undefined);
    } while (token !== undefined);
    return found;
  }

  check(target, 'key-order', 'keys come in the order of their UTF-8 bytes', async () => {
    // U+FF01 sorts before U+1D11E in UTF-8, and behind it in UTF-16.
    const sorted = ['!', '-', 'A', 'B', 'a', 'a!', 'a/', 'a/b', 'ab', 'ä', '\uff01', '\u{1d11e}'];
    const base = await fill([...sorted].reverse());
    assert.deepEqual(await pages(base, {}), [{ keys: sorted, prefixes: [] }]);
  });

  check(target, undefined, 'an entry shows size, ETag, class and time of its object', async () => {
    const base = await fill(['x']);
    const page = await client.send(new ListObjectsV2Command({ Bucket, Prefix: base }));
    const [entry] = page.Contents ?? [];
    assert.deepEqual(
      [entry?.Size, entry?.ETag, entry?.StorageClass],
      [1, `"${hexDigest('md5', 'x')}"`, 'STANDARD'],
    );
    assert.ok(Math.abs(Date.now() - (entry?.LastModified?.getTime() ?? 0)) < 60_000);
    assert.deepEqual([page.Name, page.Prefix, page.MaxKeys], [Bucket, base, 1000]);
  });

  check(target, 'listing-owners', 'an entry shows the owner of its object to who asks', async () => {
    const base = await fill(['x']);
    const page = await client.send(new ListObjectsV2Command({ Bucket, Prefix: base, FetchOwner: true }));
    assert.ok(page.Contents?.[0]?.Owner?.ID);
  });

  check(target, undefined, 'pages join without a gap or a repeat', async () => {
    const names = Array.from({ length: 7 }, (_, index) => `key-${index}`);
    const base = await fill(names);
    const found = await pages(base, { MaxKeys: 3 });
    assert.deepEqual(
      found.map((page) => page.keys),
      [names.slice(0, 3), names.slice(3, 6), names.slice(6)],
    );
    assert.deepEqual(
      (await pages(base, { MaxKeys: 7 })).map((page) => page.keys),
      [names],
    );
  });

  check(target, undefined, 'a delimiter rolls keys up, and pages count what they show', async () => {
    const base = await fill(['a/1', 'a/2', 'a/3', 'b', 'c/1', 'c/2', 'd', 'e//1']);
    assert.deepEqual(await pages(base, { Delimiter: '/' }), [
      { keys: ['b', 'd'], prefixes: ['a/', 'c/', 'e/'] },
    ]);
    assert.deepEqual(await pages(base, { Delimiter: '/', MaxKeys: 1 }), [
      { keys: [], prefixes: ['a/'] },
      { keys: ['b'], prefixes: [] },
      { keys: [], prefixes: ['c/'] },
      { keys: ['d'], prefixes: [] },
      { keys: [], prefixes: ['e/'] },
    ]);
    assert.deepEqual(await pages(base, { Delimiter: '//' }), [
      { keys: ['a/1', 'a/2', 'a/3', 'b', 'c/1', 'c/2', 'd'], prefixes: ['e//'] },
    ]);
  });

  check(target, undefined, 'start-after begins behind a key, there or not', async () => {
    const base = await fill(['a', 'b', 'd']);
    assert.deepEqual(await pages(base, { StartAfter: `${base}b` }), [{ keys: ['d'], prefixes: [] }]);
    assert.deepEqual(await pages(base, { StartAfter: `${base}c` }), [{ keys: ['d'], prefixes: [] }]);
    assert.deepEqual(await pages(base, { StartAfter: `${base}a`, MaxKeys: 1 }), [
      { keys: ['b'], prefixes: [] },
      { keys: ['d'], prefixes: [] },
    ]);
  });

  check(
    target,
    'start-inside-prefix',
    'start-after within a rolled-up prefix still shows the rest of it',
    async () => {
      const nested = await fill(['x/1', 'x/2', 'y/1']);
      assert.deepEqual(await pages(nested, { StartAfter: `${nested}x/1`, Delimiter: '/' }), [
        { keys: [], prefixes: ['x/', 'y/'] },
      ]);
    },
  );

  check(target, 'url-encoding', 'url encoding hides what XML cannot carry', async () => {
    const base = await fill(['a b\u0001\n+ü/x']);
    const page = await client.send(new ListObjectsV2Command({ Bucket, Prefix: base, EncodingType: 'url' }));
    const Key = page.Contents?.[0]?.Key ?? '';
    assert.match(Key, /^[A-Za-z0-9%/._~*+-]+$/);
    assert.equal(decodeURIComponent(Key.replaceAll('+', ' ')), `${base}a b\u0001\n+ü/x`);
    assert.equal(page.EncodingType, 'url');
  });

  check(target, 'listing-validation', 'an unknown encoding is InvalidArgument', async () => {
    const query = { 'list-type': '2', 'encoding-type': 'rot13' };
    assertRefusal(await raw(target, { method: 'GET', query }), 'InvalidArgument', 400);
  });

  check(target, undefined, 'no match is an empty page', async () => {
    assert.deepEqual(await pages(freshKey(target, ''), {}), [{ keys: [], prefixes: [] }]);
  });

  check(target, 'empty-pages', 'no key asked for is an empty page, and the last', async () => {
    const base = await fill(['a']);
    assert.deepEqual(await pages(base, { MaxKeys: 0 }), [{ keys: [], prefixes: [] }]);
  });

  check(
    target,
    'listing-validation',
    'a wrong max-keys or continuation token is InvalidArgument',
    async () => {
      for (const more of [
        { 'max-keys': '-1' },
        { 'max-keys': 'many' },
        { 'continuation-token': 'made up' },
      ]) {
        const query: Record<string, string> = { 'list-type': '2', ...more };
        assertRefusal(await raw(target, { method: 'GET', query }), 'InvalidArgument', 400);
      }
    },
  );
}
