import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runNode } from '../support/run-program.ts';
import { Outcomes } from './outcomes.ts';

const contract = ['testing/run-tests.sh', 'tests/contract/s3-contract.test.ts'];

test('the contract runs against a named server; what it is said to lack is skipped and reported', async () => {
  const start = ['testing/tools/with-s3-server.ts', 'local', '--', 'env', 'S3_NAME=some server'];
  // All sections run in s3-contract.test.ts; these have the tests of what is lacking, and some that are not skipped.
  const some = 'S3_SECTIONS=buckets,objects,archive';
  const { exitCode, stdout } = await runNode([...start, some, 'S3_LACKS=archive,kms', ...contract]);
  assert.equal(exitCode, 0, stdout);
  assert.match(stdout, /aws:kms \S+ # some server lacks kms/);
  assert.match(
    stdout,
    /^S3 contract, some server: \d{2} passed, 4 skipped, 0 failed\n {2}skipped +3 of +3 {2}archive\n {2}skipped +1 of +1 {2}kms$/m,
  );
});

test('a target that is not described, or not known, fails before any test', async () => {
  for (const [environment, complaint] of [
    [{ S3_SERVER: 'env' }, /S3_SERVER=env needs AWS_REGION/],
    [{ S3_SERVER: 'cloud' }, /S3_SERVER must be local or env, got 'cloud'/],
  ] as const) {
    const { exitCode, stderr } = await runNode(['tests/contract/s3-contract.test.ts'], { ...environment });
    assert.equal(exitCode, 1);
    assert.match(stderr, complaint);
  }
});

test('a bucket that is not there is reported in one line', async () => {
  const start = [
    'testing/tools/with-s3-server.ts',
    'local',
    '--',
    'env',
    'S3_NAME=X',
    'S3_BUCKET=no-such-bucket',
  ];
  const file = ['node', '--import', 'tsx', 'tests/contract/s3-contract.test.ts'];
  const { exitCode, stderr } = await runNode([...start, ...file]);
  assert.equal(exitCode, 1);
  assert.match(stderr, /no way to the bucket 'no-such-bucket' of X, which has to exist: NotFound/);
});

test('a summary names what failed by feature, and counts what passed beside it', () => {
  const outcomes = new Outcomes();
  for (const outcome of ['passed', 'failed', 'failed'] as const) outcomes.count('archive', outcome);
  outcomes.count(undefined, 'passed');
  assert.equal(
    outcomes.summary('X'),
    'S3 contract, X: 2 passed, 0 skipped, 2 failed\n  failed    2 of  3  archive',
  );
});
