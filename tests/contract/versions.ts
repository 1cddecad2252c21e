/** The contract of versions: nothing that was put is lost by a put or a delete, until its version is deleted. */
import assert from 'node:assert/strict';
import {
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetBucketVersioningCommand,
  GetObjectAttributesCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  type ListObjectVersionsCommandInput,
  PutBucketVersioningCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { withBucket, withVersions } from './scratch-bucket.ts';
import { assertRefusal, check, raw, refused, refusedWith, type Target } from './target.ts';
import { uploader } from './uploads.ts';

/** Defines the tests of versions. */
export function versionContract(target: Target): void {
  const { client } = target;

  async function put(Bucket: string, Key: string, Body = Key): Promise<string> {
    const { VersionId } = await client.send(new PutObjectCommand({ Bucket, Key, Body }));
    assert.ok(VersionId, 'a put in a bucket with versioning tells its version');
    return VersionId;
  }

  async function read(Bucket: string, Key: string, VersionId?: string): Promise<string> {
    const asked = VersionId === undefined ? {} : { VersionId };
    const got = await client.send(new GetObjectCommand({ Bucket, Key, ...asked }));
    const head = await client.send(new HeadObjectCommand({ Bucket, Key, ...asked }));
    assert.equal(got.VersionId, head.VersionId);
    if (VersionId !== undefined) {
      assert.equal(got.VersionId, VersionId);
    }
    return (await got.Body?.transformToString()) ?? '';
  }

  const list = (Bucket: string, more: Partial<ListObjectVersionsCommandInput> = {}) =>
    client.send(new ListObjectVersionsCommand({ Bucket, ...more }));

  check(target, 'versions', 'versioning is off, and then on', async () => {
    await withBucket(target, {}, async (Bucket) => {
      const status = async () => (await client.send(new GetBucketVersioningCommand({ Bucket }))).Status;
      assert.equal(await status(), undefined);
      const before = await client.send(new PutObjectCommand({ Bucket, Key: 'a', Body: 'a' }));
      assert.equal(before.VersionId, undefined);
      await client.send(
        new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Enabled' } }),
      );
      assert.equal(await status(), 'Enabled');
      // What was there keeps its place as the version `null`.
      const VersionId = await put(Bucket, 'a', 'new');
      assert.deepEqual([await read(Bucket, 'a'), await read(Bucket, 'a', 'null')], ['new', 'a']);
      await client.send(new DeleteObjectCommand({ Bucket, Key: 'a', VersionId }));
      assert.equal(await read(Bucket, 'a'), 'a');
      await client.send(new DeleteObjectCommand({ Bucket, Key: 'a', VersionId: 'null' }));
      await refused(read(Bucket, 'a'), 'NoSuchKey', 404);
    });
  });

  check(target, 'versions', 'each put adds a version, and each can be read', async () => {
    await withVersions(target, { lock: false }, async (Bucket) => {
      const first = await put(Bucket, 'a', 'first');
      const upload = await uploader(target, Bucket)(undefined, {}, 'a');
      const done = await upload.complete([await upload.put(1, 'second')]);
      assert.ok(done.VersionId);
      assert.deepEqual(
        [await read(Bucket, 'a'), await read(Bucket, 'a', first), await read(Bucket, 'a', done.VersionId)],
        ['second', 'first', 'second'],
      );
    });
  });

  check(target, 'object-attributes', 'the attributes of a version', async () => {
    await withVersions(target, { lock: false }, async (Bucket) => {
      const first = await put(Bucket, 'a', 'first');
      await put(Bucket, 'a', 'and second');
      const attributes = await client.send(
        new GetObjectAttributesCommand({
          Bucket,
          Key: 'a',
          VersionId: first,
          ObjectAttributes: ['ObjectSize'],
        }),
      );
      assert.deepEqual([attributes.ObjectSize, attributes.VersionId], [5, first]);
    });
  });

  check(
    target,
    'versions',
    'a delete hides a key under a marker, and deleting the marker shows it again',
    async () => {
      await withVersions(target, { lock: false }, async (Bucket) => {
        const VersionId = await put(Bucket, 'a');
        const marker = await client.send(new DeleteObjectCommand({ Bucket, Key: 'a' }));
        assert.equal(marker.DeleteMarker, true);
        assert.ok(marker.VersionId);
        await refused(read(Bucket, 'a'), 'NoSuchKey', 404);
        assert.equal(await read(Bucket, 'a', VersionId), 'a');
        await refusedWith(read(Bucket, 'a', marker.VersionId), 404, 405);
        assert.equal((await client.send(new ListObjectsV2Command({ Bucket }))).KeyCount, 0);
        const undone = await client.send(
          new DeleteObjectCommand({ Bucket, Key: 'a', VersionId: marker.VersionId }),
        );
        assert.deepEqual([undone.DeleteMarker, undone.VersionId], [true, marker.VersionId]);
        assert.equal(await read(Bucket, 'a'), 'a');
      });
    },
  );

  check(target, 'delete-marker-answers', 'what is hidden by a delete marker says so', async () => {
    await withVersions(target, { lock: false }, async (Bucket) => {
      await put(Bucket, 'a');
      await client.send(new DeleteObjectCommand({ Bucket, Key: 'a' }));
      const gone = await raw({ ...target, bucket: Bucket }, { method: 'GET', key: 'a' });
      assertRefusal(gone, 'NoSuchKey', 404);
      assert.equal(gone.headers.get('x-amz-delete-marker'), 'true');
    });
  });

  check(target, 'delete-marker-answers', 'a delete marker itself cannot be read', async () => {
    await withVersions(target, { lock: false }, async (Bucket) => {
      const marker = await client.send(new DeleteObjectCommand({ Bucket, Key: 'a' }));
      await refused(read(Bucket, 'a', marker.VersionId), 'MethodNotAllowed', 405);
    });
  });

  check(target, 'no-such-version', 'what is read by an unknown version is NoSuchVersion', async () => {
    await withVersions(target, { lock: false }, async (Bucket) => {
      const VersionId = await put(Bucket, 'a');
      await client.send(new DeleteObjectCommand({ Bucket, Key: 'a', VersionId }));
      await refused(read(Bucket, 'a', VersionId), 'NoSuchVersion', 404);
      const other = await put(Bucket, 'a');
      await refused(read(Bucket, 'b', other), 'NoSuchVersion', 404);
    });
  });

  check(target, 'versions', 'deleting the newest version shows the one before', async () => {
    await withVersions(target, { lock: false }, async (Bucket) => {
      const first = await put(Bucket, 'a', 'first');
      const second = await put(Bucket, 'a', 'second');
      const removed = await client.send(new DeleteObjectCommand({ Bucket, Key: 'a', VersionId: second }));
      assert.deepEqual([removed.DeleteMarker, removed.VersionId], [undefined, second]);
      assert.equal(await read(Bucket, 'a'), 'first');
      await refusedWith(read(Bucket, 'a', second), 404);
      await refusedWith(read(Bucket, 'b', first), 404);
      // A version that is not there is deleted without a word.
      await client.send(new DeleteObjectCommand({ Bucket, Key: 'a', VersionId: second }));
      assert.equal(await read(Bucket, 'a'), 'first');
    });
  });

  check(target, 'versions', 'versions are listed newest first, page by page, and by prefix', async () => {
    await withVersions(target, { lock: false }, async (Bucket) => {
      const expected: string[] = [];
      for (const key of ['a', 'a/b', 'c']) {
        const older = await put(Bucket, key, '1');
        const newer = await put(Bucket, key, '2');
        expected.push(`${key} ${newer}`, `${key} ${older}`);
      }
      const marker = await client.send(new DeleteObjectCommand({ Bucket, Key: 'c' }));
      const seen: string[] = [];
      const latest: string[] = [];
      let next: { KeyMarker?: string; VersionIdMarker?: string } | undefined = {};
      while (next !== undefined) {
        const page: Awaited<ReturnType<typeof list>> = await list(Bucket, { MaxKeys: 2, ...next });
        for (const each of [...(page.DeleteMarkers ?? []), ...(page.Versions ?? [])]) {
          seen.push(`${each.Key} ${each.VersionId}`);
          latest.push(...(each.IsLatest === true ? [`${each.Key} ${each.VersionId}`] : []));
        }
        next =
          page.IsTruncated === true
            ? { KeyMarker: page.NextKeyMarker ?? '', VersionIdMarker: page.NextVersionIdMarker ?? '' }
            : undefined;
      }
      const markerName = `c ${marker.VersionId}`;
      assert.deepEqual(seen, [...expected.slice(0, 4), markerName, ...expected.slice(4)]);
      assert.deepEqual(latest, [expected[0], expected[2], markerName]);
      const under = await list(Bucket, { Prefix: 'a/' });
      assert.deepEqual(
        under.Versions?.map((each) => [each.Key, each.Size, each.StorageClass]),
        [
          ['a/b', 1, 'STANDARD'],
          ['a/b', 1, 'STANDARD'],
        ],
      );
      const grouped = await list(Bucket, { Delimiter: '/' });
      assert.deepEqual(grouped.CommonPrefixes, [{ Prefix: 'a/' }]);
    });
  });

  check(target, 'version-key-marker', 'versions are listed behind a key', async () => {
    await withVersions(target, { lock: false }, async (Bucket) => {
      for (const key of ['a', 'a/b', 'c']) {
        await put(Bucket, key, '1');
        await put(Bucket, key, '2');
      }
      const behind = await list(Bucket, { KeyMarker: 'a/b' });
      assert.deepEqual(
        behind.Versions?.map((each) => each.Key),
        ['c', 'c'],
      );
    });
  });

  check(target, 'listing-validation', 'a version to list behind needs a key', async () => {
    await withVersions(target, { lock: false }, async (Bucket) => {
      await refused(list(Bucket, { VersionIdMarker: 'null' }), 'InvalidArgument', 400);
    });
  });

  check(target, 'versions', 'DeleteObjects makes markers, and removes versions that it names', async () => {
    await withVersions(target, { lock: false }, async (Bucket) => {
      const VersionId = await put(Bucket, 'a');
      await put(Bucket, 'b');
      const { Deleted = [] } = await client.send(
        new DeleteObjectsCommand({
          Bucket,
          Delete: { Objects: [{ Key: 'a', VersionId }, { Key: 'b' }] },
        }),
      );
      const ofB = Deleted.find((each) => each.Key === 'b');
      assert.deepEqual(
        Deleted.find((each) => each.Key === 'a'),
        { Key: 'a', VersionId },
      );
      assert.equal(ofB?.DeleteMarker, true);
      const left = await list(Bucket);
      assert.deepEqual(
        [left.Versions?.map((each) => each.Key), left.DeleteMarkers?.map((each) => each.VersionId)],
        [['b'], [ofB?.DeleteMarkerVersionId]],
      );
    });
  });
}
