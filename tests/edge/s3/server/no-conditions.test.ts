/** Servers without conditional writes: what is there is looked at just before, so that another's work stays all the same. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { KeyTaken } from '../../../../lib/edge/s3/conditional-write.ts';
import { readDocument, writeDocument } from '../../../../lib/edge/s3/documents.ts';
import type { RefusedHeaders } from '../../../../testing/s3-server/habits/habits.ts';
import { plainWrite } from '../../../support/bucket.ts';
import { chunkWriting, small, threeParts } from '../../../support/chunk-writing.ts';
import { openProvider } from '../../../support/provider-bucket.ts';
import { shortenWaits } from '../../../support/short-waits.ts';
import { temporaryDirectory } from '../../../support/temporary-directory.ts';

const directory = temporaryDirectory('no-conditions');
shortenWaits();

const refused: RefusedHeaders = { headers: /^if-(none-)?match$/, writesOnly: true, code: 'NotImplemented' };
const servers = {
  'refuses them': { refused: [refused] },
  'names the header': {
    refused: [{ ...refused, says: (name: string) => `Header '${name}' with value '*' not implemented` }],
  },
  'ignores them': { ignored: /^if-(none-)?match$/ },
} as const;

/** A bucket on such a server; that it ignores conditions is known already, as the probe finds it out. */
async function open(t: TestContext, how: keyof typeof servers) {
  const opened = await openProvider(t, directory, undefined, { habits: servers[how] });
  if (how === 'ignores them') opened.bucket.habits.loseConditions('ignores');
  return { ...opened, ...chunkWriting({ bucket: opened.bucket, retries: [] }) };
}

for (const how of Object.keys(servers) as (keyof typeof servers)[]) {
  test(`${how}: a document is written where there is none, and over the one that was seen`, async (t) => {
    const { bucket, notices } = await open(t, how);
    const write = (content: string, precondition: { absent: true } | { etag: string }) =>
      writeDocument(bucket, 'host/current.json', content, plainWrite, precondition);
    assert.equal(await write('1', { absent: true }), true);
    assert.equal(await write('2', { absent: true }), false);
    const first = await readDocument(bucket, 'host/current.json', 100);
    assert.equal(await write('3', { etag: first?.etag ?? '' }), true);
    assert.equal(await write('4', { etag: first?.etag ?? '' }), false);
    assert.equal((await readDocument(bucket, 'host/current.json', 100))?.text, '3');
    assert.equal(notices.length, 1);
    assert.match(notices[0] ?? '', /^warn: the server (refuses|ignores) conditional writes: .* S3_PREFIX$/);
  });

  test(`${how}: chunks are stored, and another's chunk stays`, async (t) => {
    const { bucket, writerWith, storeThree, contentOf, notices } = await open(t, how);
    const { writer, bodyOf, ...rest } = writerWith();
    await writer.putWhole('host/whole', bodyOf(small));
    const { upload, stored } = await storeThree({ writer, bodyOf, ...rest }, 'host/parts');
    await writer.complete(upload, stored);
    assert.ok((await contentOf('host/parts')).equals(Buffer.concat(threeParts)));
    await writeDocument(bucket, 'host/taken', 'of another', plainWrite, { absent: true });
    await assert.rejects(writer.putWhole('host/taken', bodyOf(small)), KeyTaken);
    const again = await storeThree({ writer, bodyOf, ...rest }, 'host/taken');
    await assert.rejects(writer.complete(again.upload, again.stored), KeyTaken);
    assert.equal(String(await contentOf('host/taken')), 'of another');
    assert.equal(notices.length, 1);
  });

  test(`${how}: our own chunk may be written over`, async (t) => {
    const { writerWith, contentOf } = await open(t, how);
    const { writer, bodyOf } = writerWith();
    const { etag } = await writer.putWhole('host/whole', bodyOf(small));
    await writer.putWhole('host/whole', bodyOf(Buffer.from('anew')), etag);
    assert.equal(String(await contentOf('host/whole')), 'anew');
  });
}

test('a refusal of something else is no reason to write without a condition', async (t) => {
  const noKms: RefusedHeaders = {
    headers: /^x-amz-server-side-encryption$/,
    code: 'NotImplemented',
    says: () => 'Server side encryption specified but KMS is not configured',
  };
  for (const refusal of [noKms, { headers: noKms.headers, code: noKms.code }]) {
    const { bucket, notices } = await openProvider(t, directory, undefined, {
      habits: { refused: [refusal] },
    });
    const options = { ...plainWrite, ServerSideEncryption: 'AES256' } as const;
    await assert.rejects(
      writeDocument(bucket, 'host/x', '{}', options, { absent: true }),
      /NotImplemented|encryption/,
    );
    assert.deepEqual([bucket.habits.keepsConditions, notices], [true, []]);
  }
});

test('a server that keeps conditions is not looked at before each write', async (t) => {
  const { bucket, server, notices } = await openProvider(t, directory, undefined);
  await writeDocument(bucket, 'host/x', '{}', plainWrite, { absent: true });
  assert.deepEqual(
    server.requests.map(({ operation }) => operation),
    ['PutObject'],
  );
  assert.deepEqual(notices, []);
});
