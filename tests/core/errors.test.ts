import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  describeError,
  exitCodeOf,
  type FailureKind,
  ToolError,
  worstExitCode,
} from '../../lib/core/errors.ts';

const codes: Record<FailureKind, number> = {
  failed: 1,
  usage: 2,
  locked: 3,
  damage: 4,
  thaw: 5,
  interrupted: 130,
};

const of = (kind: FailureKind) => new ToolError(kind, { kind });

for (const [kind, code] of Object.entries(codes) as [FailureKind, number][]) {
  test(`a failure of kind ${kind} exits ${code}`, () => assert.equal(exitCodeOf(of(kind)), code));
}

test('a failure without a kind, a defect and a thrown text exit 1', () => {
  assert.equal(exitCodeOf(new ToolError('x')), 1);
  assert.equal(exitCodeOf(new TypeError('x')), 1);
  assert.equal(exitCodeOf('x'), 1);
  assert.equal(exitCodeOf(undefined), 1);
});

for (const [kinds, code] of [
  [[], 0],
  [['failed'], 1],
  [['failed', 'thaw'], 1],
  [['failed', 'locked'], 1],
  [['thaw', 'locked'], 3],
  [['failed', 'usage'], 2],
  [['usage', 'damage'], 4],
  [['damage', 'interrupted'], 130],
] as const) {
  test(`failures of kinds [${kinds}] together exit ${code}, in either order`, () => {
    assert.equal(worstExitCode(kinds.map(of)), code);
    assert.equal(worstExitCode(kinds.map(of).reverse()), code);
  });
}

test('a defect beside damage does not hide the damage', () => {
  assert.equal(worstExitCode([new TypeError('x'), of('damage')]), 4);
});

test('an error is described by its line and its hint', () => {
  assert.equal(
    describeError(new ToolError('no bucket', { hint: 'set S3_BUCKET' })),
    'no bucket; set S3_BUCKET',
  );
  assert.equal(describeError(new ToolError('no bucket')), 'no bucket');
});

test('a defect is described with its name, and a thrown text as it is', () => {
  assert.equal(describeError(new TypeError('x is not a function')), 'TypeError: x is not a function');
  assert.equal(describeError('text'), 'text');
});

test('the cause and the output of the child are kept, the latter without blanks around it', () => {
  const cause = new Error('ENOENT');
  const error = new ToolError('btrfs failed', { cause, childOutput: '  ERROR: no such file\n' });
  assert.equal(error.cause, cause);
  assert.equal(error.childOutput, 'ERROR: no such file');
  assert.equal(error.name, 'ToolError');
});

test('without a cause and without output of a child there is neither', () => {
  const error = new ToolError('x', { childOutput: ' \n' });
  assert.equal('cause' in error, false);
  assert.equal(error.childOutput, undefined);
});

test('the problem of an error is its line, unless it is given apart', () => {
  assert.equal(new ToolError('manifest x: it is not JSON').problem, 'manifest x: it is not JSON');
  assert.equal(
    new ToolError('manifest x: it is not JSON', { problem: 'it is not JSON' }).problem,
    'it is not JSON',
  );
});
