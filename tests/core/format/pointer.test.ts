import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ToolError } from '../../../lib/core/errors.ts';
import { parsePointer } from '../../../lib/core/format/manifest.ts';
import { dayStamp, keyOfDay, keys, otherKey, pointer, pointerKey } from '../samples.ts';

test('a pointer is read, unknown fields ignored', () => {
  assert.deepEqual(parsePointer(JSON.stringify({ ...pointer, more: 1 }), pointerKey), pointer);
});

for (const [fields, message] of [
  [{ manifest_key: keyOfDay(1) }, /it names .*full\/manifest.*, which is not the incremental backup of/],
  [{ manifest_key: keyOfDay(3) }, /it names .*, which is not the incremental backup of/],
  [{ manifest_key: otherKey(`incremental/manifest-${dayStamp(2)}.json`) }, /it names .*subvol\/home\//],
  [{ manifest_key: `else/${keyOfDay(2)}` }, /it names else\//],
  [{ manifest_key: `${keys.root}../data/incremental/manifest-${dayStamp(2)}.json` }, /it names .*\.\./],
  [{ manifest_key: keys.chunk('incremental', dayStamp(2), 0) }, /it names .*chunk-/],
  [{ kind: 'full' }, /which is not the full backup/],
  [{ created_at: '99991231T235959Z' }, /backup of 99991231T235959Z/],
  [{ manifest_key: 'a\u001b' }, /manifest_key: contains a control character/],
  [{ manifest_key: '' }, /manifest_key: /],
  [{ manifest_key: 'k'.repeat(1025) }, /manifest_key: /],
  [{ manifest_key: undefined }, /manifest_key: /],
  [{ kind: 'inc' }, /kind: /],
  [{ created_at: 'now' }, /created_at: is not YYYYMMDDTHHMMSSZ/],
] as const) {
  test(`a pointer with ${JSON.stringify(fields).slice(0, 60)} is damage (${message.source})`, () => {
    const text = JSON.stringify({ ...pointer, ...fields });
    assert.throws(
      () => parsePointer(text, pointerKey),
      (error) => {
        assert.ok(error instanceof ToolError, String(error));
        assert.equal(error.kind, 'damage');
        assert.equal(error.message.split(': ')[0], `pointer ${pointerKey} cannot be used`);
        return message.test(error.message);
      },
    );
  });
}
