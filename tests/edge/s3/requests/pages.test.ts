import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ToolError } from '../../../../lib/core/errors.ts';
import { pagesOf } from '../../../../lib/edge/s3/requests/pages.ts';

interface Page {
  readonly IsTruncated?: boolean;
  readonly next?: string;
}

/** Lists from a server that answers with these pages, again and again from the last; fails when it is asked for ever. */
async function list(pages: readonly Page[]): Promise<{ asked: (string | undefined)[]; error: unknown }> {
  const asked: (string | undefined)[] = [];
  const ask = async (before: Page | undefined) => {
    asked.push(before?.next);
    assert.ok(asked.length < 100, 'it goes on for ever');
    return pages[asked.length - 1] ?? pages.at(-1) ?? {};
  };
  try {
    for await (const page of pagesOf('list things', ask, ({ next }) => next)) assert.ok(page, 'a page');
    return { asked, error: undefined };
  } catch (error) {
    return { asked, error };
  }
}

test('each page is asked for from where the one before ended', async () => {
  const { asked, error } = await list([
    { IsTruncated: true, next: 'b' },
    { IsTruncated: true, next: 'c' },
    // S3 gives a marker on the last page of some listings as well.
    { IsTruncated: false, next: 'd' },
  ]);
  assert.equal(error, undefined);
  assert.deepEqual(asked, [undefined, 'b', 'c']);
});

test('a page that does not say whether there is more is the last', async () => {
  assert.deepEqual(await list([{ next: 'b' }]), { asked: [undefined], error: undefined });
});

for (const [what, pages] of [
  ['names no place to go on from', [{ IsTruncated: true }]],
  ['names an empty one', [{ IsTruncated: true, next: '' }]],
  ['names the same again', [{ IsTruncated: true, next: 'b' }]],
  [
    'goes round in a circle',
    [
      { IsTruncated: true, next: 'b' },
      { IsTruncated: true, next: 'c' },
      { IsTruncated: true, next: 'b' },
    ],
  ],
] as const) {
  test(`a listing that ${what} ends with an error`, async () => {
    const { error } = await list(pages);
    assert.ok(error instanceof ToolError, String(error));
    assert.equal(
      error.message,
      'cannot list things: the server says that there are more, but not where they begin',
    );
    assert.match(error.hint ?? '', /AWS_ENDPOINT_URL_S3/);
  });
}
