import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codecOf, decodingSteps, encodingSteps, programsOf } from '../../../lib/edge/codec/steps.ts';

test('a codec is called as people would call it, and its versions are known', async () => {
  const both = { zstdLevel: 7, recipients: ['age1x', 'ssh-rsa y'] };
  assert.deepEqual(
    encodingSteps(both, 9).map(({ file, args }) => [file, ...args]),
    [
      ['zstd', '-q', '-c', '--single-thread', '-7', '--stream-size=9'],
      ['age', '--encrypt', '-r', 'age1x', '-r', 'ssh-rsa y'],
    ],
  );
  assert.deepEqual(
    decodingSteps(codecOf(both), '/k').map(({ file, args }) => [file, ...args]),
    [
      ['age', '--decrypt', '-i', '/k'],
      ['zstd', '-q', '-c', '-d'],
    ],
  );
  assert.deepEqual(codecOf({ zstdLevel: undefined, recipients: [] }), { compress: 'none', encrypt: 'none' });
  const programs = await programsOf({ compress: 'zstd', encrypt: 'age' });
  assert.deepEqual(Object.keys(programs), ['zstd', 'age']);
  for (const version of Object.values(programs)) assert.match(version, /^\d+\.\d+/);
  assert.deepEqual(await programsOf({ compress: 'none', encrypt: 'none' }), {});
});
