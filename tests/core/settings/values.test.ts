import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertProblem, resolve } from './resolve.ts';

for (const [text, expected] of [
  ['SUBVOLUMES=/data', [{ name: 'data', path: '/data' }]],
  ['SUBVOLUMES=/srv/data/', [{ name: 'data', path: '/srv/data' }]],
  [
    'SUBVOLUMES= /data , home=/srv/home/ ',
    [
      { name: 'data', path: '/data' },
      { name: 'home', path: '/srv/home' },
    ],
  ],
  ['SUBVOLUMES=root=/', [{ name: 'root', path: '/' }]],
  ['SUBVOLUMES=photos=/srv/my photos=2026', [{ name: 'photos', path: '/srv/my photos=2026' }]],
  [
    'SUBVOLUMES=/a/data,b=/b/data',
    [
      { name: 'data', path: '/a/data' },
      { name: 'b', path: '/b/data' },
    ],
  ],
  [
    'SUBVOLUMES=/data,home=snapshots:/home/.snapshots/*/snapshot/, var = snapshots: /s/var.[0-9]* ',
    [
      { name: 'data', path: '/data' },
      { name: 'home', snapshots: '/home/.snapshots/*/snapshot' },
      { name: 'var', snapshots: '/s/var.[0-9]*' },
    ],
  ],
  ['SUBVOLUMES=/srv/snapshots:/x', [{ name: 'x', path: '/srv/snapshots:/x' }]],
  ['SNAPSHOT_DIR=/data/.snapshots//', '/data/.snapshots'],
  ['SNAPSHOT_DIR=/', '/'],
  ['SNAPSHOT_DIR=//', '/'],
  ['IGNORE_NESTED=/var/lib/docker/, **/machines/*', ['/var/lib/docker', '**/machines/*']],
  ['IGNORE_NESTED=', []],
  ['S3_BUCKET=my.bucket-1', 'my.bucket-1'],
  ['S3_PREFIX=a/b c/ü', 'a/b c/ü'],
  ['AWS_ENDPOINT_URL_S3=https://s3.example.net', 'https://s3.example.net'],
  ['CHUNK_SIZE=5MiB', 5_242_880],
  ['CHUNK_SIZE=5242880', 5_242_880],
  ['CHUNK_SIZE=48TiB', 52_776_558_133_248],
  ['PART_SIZE=5GiB', 5_368_709_120],
  ['PART_SIZE=100 MiB', 104_857_600],
  ['CONCURRENCY=1', 1],
  ['CONCURRENCY=64', 64],
  ['SSE=none', 'none'],
  ['STORAGE_CLASS_CHUNKS=GLACIER', 'GLACIER'],
  ['STORAGE_CLASS_MANIFEST=GLACIER_IR', 'GLACIER_IR'],
  ['S3_ALLOW_HTTP=true', true],
  ['S3_PREFIX=$(hostname)', '$(hostname)'],
  [`S3_PREFIX=\${HOSTNAME}`, `\${HOSTNAME}`],
] as const) {
  test(`${text} is accepted`, () => {
    const { values, problems } = resolve(text);
    assert.deepEqual(problems, []);
    assert.deepEqual(values[text.slice(0, text.indexOf('=')) as keyof typeof values], expected);
  });
}

for (const [text, reason] of [
  ['IGNORE_NESTED=/a,docker', /^"docker" must be absolute, or begin with \*\*\/$/],
  ['SUBVOLUMES=data', /^"data" is neither an absolute path nor name=\/path$/],
  ['SUBVOLUMES=/data,', /^"" is neither an absolute path nor name=\/path$/],
  ['SUBVOLUMES=data=srv/data', /neither an absolute path/],
  ['SUBVOLUMES=/', /^"\/" needs a name of .* in front: name=\/$/],
  ['SUBVOLUMES=/my photos', /^"\/my photos" needs a name .* in front: name=\/my photos$/],
  ['SUBVOLUMES=a b=/data', /needs a name/],
  ['SUBVOLUMES=..=/data', /needs a name/],
  ['SUBVOLUMES=/a/data,/b/data', /^two subvolumes are named "data"; .*other-name=\/b\/data$/],
  ['SUBVOLUMES=home=snapshots:home/*', /^"home=snapshots:home\/\*" .*the glob must be an absolute path$/],
  ['SUBVOLUMES=home=snapshots:', /the glob must be an absolute path/],
  ['SUBVOLUMES=snapshots:/s/*', /^"snapshots:\/s\/\*" needs a name in front: name=snapshots:\/s\/\*$/],
  ['SUBVOLUMES=a b=snapshots:/s/*', /needs a name/],
  ['SUBVOLUMES=home=snapshots:/s/**/snapshot', /has "\*\*", .*write "\*" per directory/],
  ['SUBVOLUMES=/a/home,home=snapshots:/s/*', /^two subvolumes are named "home"/],
  ['SNAPSHOT_DIR=snapshots', /must be an absolute path/],
  ['RUN_DIR=~/run', /must be an absolute path/],
  ['S3_BUCKET=ab', /is not a bucket name/],
  ['AWS_REGION=s3.amazonaws.com/eu', /is not the name of a region/],
  ['AWS_REGION=eu central', /is not the name of a region/],
  ['S3_BUCKET=s3://my-bucket', /is not a bucket name/],
  ['S3_BUCKET=-bucket', /is not a bucket name/],
  ['S3_PREFIX="a\\nb"', /contains a control character/],
  ['CHUNK_SIZE=5242879', /must be between 5.00 MiB and 48.8 TiB/],
  ['CHUNK_SIZE=49TiB', /must be between 5.00 MiB and 48.8 TiB/],
  ['CHUNK_SIZE=200GB', /is not a size such as 64MiB/],
  ['PART_SIZE=4MiB', /must be between 5.00 MiB and 5.00 GiB/],
  ['PART_SIZE=6GiB', /must be between 5.00 MiB and 5.00 GiB/],
  ['PART_SIZE=Auto', /is not a size such as 64MiB/],
  ['PART_SIZE=5MiB', /would need more than 10,000 parts of 5.00 MiB; use PART_SIZE=auto/],
  ['CONCURRENCY=0', /must be a whole number from 1 to 64/],
  ['CONCURRENCY=65', /must be a whole number from 1 to 64/],
  ['CONCURRENCY=4.5', /must be a whole number/],
  ['CONCURRENCY=-4', /must be a whole number/],
  ['STORAGE_CLASS_CHUNKS=deep_archive', /must be one of: STANDARD, /],
  ['STORAGE_CLASS_MANIFEST=DEEP_ARCHIVE', /must be one of: STANDARD, /],
  ['STORAGE_CLASS_MANIFEST=GLACIER', /must be one of: STANDARD, /],
  ['SSE=AES128', /must be one of: AES256, aws:kms, none/],
  ['S3_ALLOW_HTTP=yes', /must be one of: true, false/],
  ['COMPRESS=zstd:20', /must be one of: none, zstd, zstd:1/],
  ['FULL_EVERY=180', /is not a duration such as 90s/],
  ['KEEP_SNAPSHOTS=0', /must be a whole number from 1 to 10000/],
  ['AWS_ENDPOINT_URL_S3=s3.example.net', /is not an http:\/\/ or https:\/\/ address/],
  ['AWS_ENDPOINT_URL_S3=ftp://s3.example.net', /is not an http:\/\/ or https:\/\/ address/],
  [
    'AWS_ENDPOINT_URL_S3=https://user:hunter2@s3.example.net',
    /carries credentials; put them in AWS_ACCESS_KEY_ID/,
  ],
  ['AWS_ENDPOINT_URL_S3=https://user@s3.example.net', /carries credentials/],
  ['AWS_ENDPOINT_URL_S3=https://:hunter2@s3.example.net', /carries credentials/],
] as const) {
  test(`${text} is refused`, () => assertProblem(text, reason));
}

for (const text of [
  'S3_PREFIX=/a',
  'S3_PREFIX=a/',
  'S3_PREFIX=a//b',
  'S3_PREFIX=a/../b',
  'S3_PREFIX=.',
  `S3_PREFIX=${'a'.repeat(513)}`,
]) {
  test(`${text.slice(0, 40)} is refused`, () => {
    const places = resolve(text).problems.map(({ line, key }) => `${line} ${key}`);
    assert.deepEqual([...new Set(places)], ['1 S3_PREFIX']);
  });
}

test('a prefix with a slash at an end is reported', () => {
  for (const text of ['S3_PREFIX=/a', 'S3_PREFIX=a/']) {
    assert.match(resolve(text).problems[0]?.reason ?? '', /must not begin or end with "\/"/);
  }
});

test('every subvolume that is wrong is named', () => {
  const reasons = resolve('SUBVOLUMES=data,/ok,/my photos,x=/ok,x=/no').problems.map(
    (problem) => problem.reason,
  );
  assert.deepEqual(
    reasons.map((reason) => /"[^"]*"/.exec(reason)?.[0]),
    ['"data"', '"/my photos"', '"x"'],
  );
});

for (const host of ['localhost', 'LOCALHOST:9000', '127.0.0.1:9000', '127.1.2.3', '[::1]:9000']) {
  test(`http://${host} is this machine and allowed`, () => {
    assert.deepEqual(resolve(`AWS_ENDPOINT_URL_S3=http://${host}`).problems, []);
  });
}

for (const host of [
  's3.example.net',
  '10.0.0.1',
  '192.168.1.2:9000',
  '127.0.0.1.example.net',
  'localhost.example.net',
  '128.0.0.1',
  '[::2]',
  '[::]',
  '0.0.0.0',
  '1270.0.0.example',
]) {
  test(`http://${host} is another machine and needs S3_ALLOW_HTTP=true`, () => {
    assertProblem(
      `AWS_ENDPOINT_URL_S3=http://${host}`,
      /is not encrypted; use https:\/\/, or set S3_ALLOW_HTTP=true/,
    );
    assert.deepEqual(resolve(`AWS_ENDPOINT_URL_S3=http://${host}\nS3_ALLOW_HTTP=true`).problems, []);
    assert.deepEqual(resolve(`AWS_ENDPOINT_URL_S3=https://${host}`).problems, []);
  });
}
