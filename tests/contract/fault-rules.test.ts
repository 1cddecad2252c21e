/** Which requests a fault rule is about, which of them it fires for, and what a rule may not say. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type FaultRule, readFaultRules } from '../../testing/s3-server/faults/fault-rules.ts';
import { type FaultSubject, Faults, isDue, matches } from '../../testing/s3-server/faults/faults.ts';
import { matchesKey } from '../../testing/s3-server/faults/key-pattern.ts';

const put: FaultSubject = { method: 'PUT', operation: 'PutObject', key: 'host/a.json', conditional: false };

/** Which of the first ten matching requests meet the fault. */
function dueOf(times: Partial<Pick<FaultRule, 'every' | 'next' | 'skip'>>): number[] {
  const counts = Array.from({ length: 10 }, (_, index) => index + 1);
  return counts.filter((count) => isDue({ fault: 'reset-before', ...times }, count));
}

describe('fault rules', () => {
  test('every, next and skip choose among the matching requests', () => {
    assert.deepEqual(dueOf({}), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    assert.deepEqual(dueOf({ every: 3 }), [3, 6, 9]);
    assert.deepEqual(dueOf({ every: 4, skip: 1 }), [5, 9]);
    assert.deepEqual(dueOf({ next: 2 }), [1, 2]);
    assert.deepEqual(dueOf({ next: 2, skip: 3 }), [4, 5]);
    assert.deepEqual(dueOf({ skip: 8 }), [9, 10]);
  });

  test('a star in a key pattern is any text, and everything else is itself', () => {
    for (const [pattern, key, fits] of [
      ['host/*', 'host/a/b', true],
      ['host/*', 'other/host/a', false],
      ['*.json', 'host/a.json', true],
      ['*.json', 'host/a-json', false],
      ['*.json', 'host/a.json.age', false],
      ['a*c*e', 'abcde', true],
      ['*', 'with\nlines', true],
      ['(a+b)?', '(a+b)?', true],
      ['a', 'ab', false],
    ] as const) {
      assert.equal(matchesKey(pattern, key), fits, `${pattern} ${key}`);
    }
  });

  test('a rule is about its operations and keys', () => {
    assert.ok(matches({ fault: 'reset-before' }, put));
    assert.ok(matches({ fault: 'reset-before', operation: 'PutObject', key: '*.json' }, put));
    assert.ok(matches({ fault: 'reset-before', operation: ['UploadPart', 'PutObject'] }, put));
    assert.ok(!matches({ fault: 'reset-before', operation: 'UploadPart' }, put));
    assert.ok(!matches({ fault: 'reset-before', key: '*.xml' }, put));
    assert.ok(!matches({ fault: 'reset-before', key: '*' }, { ...put, key: undefined }));
  });

  test('a rule is not about requests that could not show its fault', () => {
    const get = { ...put, method: 'GET', operation: 'GetObject' };
    const head = { ...put, method: 'HEAD', operation: 'HeadObject' };
    for (const rule of [
      { fault: 'truncate', bytes: 1 },
      { fault: 'corrupt' },
      { fault: 'stall', bytes: 1 },
    ] as const) {
      assert.deepEqual([get, head, put].filter((subject) => matches(rule, subject)).length, 1, rule.fault);
    }
    for (const code of ['PreconditionFailed', 'ConditionalRequestConflict'] as const) {
      assert.ok(!matches({ fault: 'error', code }, put));
      assert.ok(matches({ fault: 'error', code }, { ...put, conditional: true }));
    }
  });

  test('rules are asked in order, and those after the one that fires do not count the request', () => {
    const faults = new Faults();
    faults.set([
      { fault: 'reset-before', every: 2 },
      { fault: 'reset-after', next: 2 },
    ]);
    const met = Array.from({ length: 5 }, () => faults.take(put)?.fault);
    assert.deepEqual(met, ['reset-after', 'reset-before', 'reset-after', 'reset-before', undefined]);
    assert.deepEqual(
      faults.list().map(({ matched, fired }) => [matched, fired]),
      [
        [5, 2],
        [3, 2],
      ],
    );
    faults.set(faults.list().map(({ rule }) => rule));
    assert.deepEqual(
      faults.list().map(({ matched, fired }) => [matched, fired]),
      [
        [0, 0],
        [0, 0],
      ],
    );
    faults.clear();
    assert.equal(faults.take(put), undefined);
  });

  test('a bad rule is refused with its number, its place and what is wrong', () => {
    for (const [rule, expected] of [
      [{ fault: 'explode' }, /fault rules: 1\.fault: fault has to be one of error, reset-before, /],
      [{}, /1\.fault: fault has to be one of/],
      [{ fault: 'error' }, /1\.code: .*"InternalError"\|"SlowDown"/],
      [{ fault: 'error', code: 'NoSuchKey' }, /1\.code/],
      [{ fault: 'slow' }, /1\.bytesPerSecond/],
      [{ fault: 'slow', bytesPerSecond: 0 }, /1\.bytesPerSecond/],
      [{ fault: 'truncate' }, /1\.bytes/],
      [{ fault: 'truncate', bytes: 1.5 }, /1\.bytes/],
      [
        { fault: 'reset-before', operation: 'UploadParts' },
        /1\.operation: "UploadParts" is not an operation/,
      ],
      [{ fault: 'reset-before', operation: [] }, /1\.operation: .*array/],
      [{ fault: 'reset-before', operation: ['GetObject', 'Get'] }, /"Get"\]? is not an operation/],
      [{ fault: 'reset-before', next: 0 }, /1\.next/],
      [{ fault: 'reset-before', next: 1, every: 1 }, /1: next and every exclude each other/],
      [{ fault: 'reset-before', evry: 1 }, /"evry"/],
    ] as const) {
      assert.throws(() => readFaultRules([{ fault: 'reset-after' }, rule]), expected, JSON.stringify(rule));
    }
    assert.throws(() => readFaultRules({}), /^InvalidSetting: fault rules: value: .*array/);
  });
});
