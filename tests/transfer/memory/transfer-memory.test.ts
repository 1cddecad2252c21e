import assert from 'node:assert/strict';
import { constants } from 'node:buffer';
import { test } from 'node:test';
import { ToolError } from '../../../lib/core/errors.ts';
import { refuseOversizedParts } from '../../../lib/transfer/memory/transfer-memory.ts';

test('parts that Node.js cannot hold in one piece are refused, with the settings to change', () => {
  refuseOversizedParts(constants.MAX_LENGTH);
  assert.throws(
    () => refuseOversizedParts(constants.MAX_LENGTH + 1),
    (error) =>
      error instanceof ToolError && error.kind === 'usage' && /PART_SIZE.*CHUNK_SIZE/.test(error.hint ?? ''),
  );
});
