import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ToolError } from '../../../lib/core/errors.ts';
import { MOST_PART_BYTES, refuseOversizedParts } from '../../../lib/transfer/memory/transfer-memory.ts';

test('parts that Node.js cannot hold in one piece are refused, with the settings to change', () => {
  refuseOversizedParts(MOST_PART_BYTES);
  assert.throws(
    () => refuseOversizedParts(MOST_PART_BYTES + 1),
    (error) =>
      error instanceof ToolError && error.kind === 'usage' && /PART_SIZE.*CHUNK_SIZE/.test(error.hint ?? ''),
  );
});
