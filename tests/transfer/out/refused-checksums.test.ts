/** Chunks on a server that refuses checksums: they are stored with Content-MD5, and what the manifest needs is the same. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { providers } from '../../../testing/s3-server/habits/providers.ts';
import { chunkWriting, small, threeParts } from '../../support/chunk-writing.ts';
import { openProvider } from '../../support/provider-bucket.ts';
import { shortenWaits } from '../../support/short-waits.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const directory = temporaryDirectory('refused-checksums');
shortenWaits();

async function writing(t: TestContext, settings: Readonly<Record<string, string>> = {}) {
  const habits = { refused: [providers.b2.refused[0]], etagOfPartIsNoMd5: true } as const;
  const opened = await openProvider(t, directory, undefined, { habits, settings });
  return { ...opened, ...chunkWriting({ bucket: opened.bucket, retries: [] }) };
}

for (const S3_CHECKSUMS of ['auto', 'md5']) {
  test(`S3_CHECKSUMS=${S3_CHECKSUMS}: a chunk of several parts is stored`, async (t) => {
    const { writerWith, storeThree, contentOf, server } = await writing(t, { S3_CHECKSUMS });
    const used = writerWith();
    const { upload, stored } = await storeThree(used, 'host/chunk');
    await used.writer.complete(upload, stored);
    assert.ok((await contentOf('host/chunk')).equals(Buffer.concat(threeParts)));
    assert.equal(used.seen.md5s, 3);
    assert.equal(
      server.requests.filter(({ status }) => status === 400).length,
      S3_CHECKSUMS === 'auto' ? 1 : 0,
    );
  });

  test(`S3_CHECKSUMS=${S3_CHECKSUMS}: a chunk of one part is stored, although nothing was known before`, async (t) => {
    const { writerWith, contentOf } = await writing(t, { S3_CHECKSUMS });
    const { writer, bodyOf, seen } = writerWith();
    const { checksum } = await writer.putWhole('host/chunk', bodyOf(small));
    assert.ok((await contentOf('host/chunk')).equals(small));
    assert.deepEqual([checksum, seen.md5s, seen.sent], [undefined, 1, small.length]);
  });
}
