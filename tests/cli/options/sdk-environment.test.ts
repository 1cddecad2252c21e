import assert from 'node:assert/strict';
import { test } from 'node:test';
import { handToSdk } from '../../../lib/cli/options/sdk-environment.ts';

const keys = { AWS_ACCESS_KEY_ID: 'account', AWS_SECRET_ACCESS_KEY: 'not-a-secret' };
const exported = { AWS_PROFILE: 'work', AWS_SESSION_TOKEN: 'stale', AWS_CREDENTIAL_EXPIRATION: '2020-01-01' };
const file = 'backup.env';

test('keys of the file are used with nothing that belongs to others, which is reported', () => {
  const environment = { ...exported, HOME: '/root' };
  assert.deepEqual(handToSdk(keys, file, environment), [
    'AWS_PROFILE=work of the environment is not used: backup.env has keys',
  ]);
  assert.deepEqual(environment, { ...keys, HOME: '/root' });
  assert.deepEqual(handToSdk(keys, file, environment), []);
});

test('a session token beside the keys in the file stays with them', () => {
  const environment = { ...exported };
  handToSdk({ ...keys, AWS_SESSION_TOKEN: 'ours' }, file, environment);
  assert.deepEqual(environment, { ...keys, AWS_SESSION_TOKEN: 'ours' });
});

test('a profile in the file wins over that of the environment', () => {
  const environment = { ...exported };
  assert.deepEqual(handToSdk({ AWS_PROFILE: 'backup' }, file, environment), []);
  assert.equal(environment.AWS_PROFILE, 'backup');
});

test('of keys and a profile in one file the SDK takes the profile, which is reported', () => {
  assert.deepEqual(handToSdk({ ...keys, AWS_PROFILE: 'backup' }, file, {}), [
    'the AWS keys in backup.env are not used: AWS_PROFILE stands there too; remove one of them',
  ]);
});

test('what the file does not name is left to the environment', () => {
  const environment = { ...exported };
  assert.deepEqual(handToSdk({}, file, environment), []);
  assert.deepEqual(environment, exported);
});
