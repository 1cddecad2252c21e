import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ToolError } from '../../lib/core/errors.ts';
import { makeStaging } from '../../lib/stage/staging.ts';
import { tinyFilesystem } from '../support/temporary-directory.ts';

const full = tinyFilesystem('staging', 1024 * 1024, 1);

test('a filesystem with no room for the staging directory is named, and it is not RUN_DIR that has to move', async () => {
  await assert.rejects(makeStaging(full), (error: ToolError) => {
    assert.equal(error.message, `cannot make a staging directory in ${full}: the disk is full`);
    assert.match(error.hint ?? '', /TARGET on another filesystem/);
    return true;
  });
});
