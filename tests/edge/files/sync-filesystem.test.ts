// Alone: commands keep the search path that was there when the first was made.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { ToolError } from '../../../lib/core/errors.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const directory = temporaryDirectory('sync-filesystem');
const script = (body: string) =>
  writeFileSync(`${directory}/sync`, `#!/bin/bash\n${body}\n`, { mode: 0o755 });

// Children get the search path that was there when they were first needed.
process.env.PATH = `${directory}:${process.env.PATH}`;
const { syncFilesystem } = await import('../../../lib/edge/files/sync-filesystem.ts');

async function refusal(): Promise<ToolError> {
  const error = await syncFilesystem('/a b').then(
    () => assert.fail('it succeeded'),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof ToolError);
  return error;
}

test('only a write that failed is the fault of the disk', async () => {
  for (const why of ['Input/output error', 'No space left on device', 'Disk quota exceeded']) {
    script(`echo "sync: error syncing '$3': ${why}" >&2; exit 1`);
    const { message, hint } = await refusal();
    assert.equal(message, 'not all that was written to /a b has reached its disk');
    assert.match(hint ?? '', /full or failing/);
  }
  const says = "sync: error opening '/a b': Permission denied";
  script(`echo "${says}" >&2; exit 1`);
  const denied = await refusal();
  assert.deepEqual(
    [denied.message, denied.hint, denied.childOutput],
    ['cannot sync the filesystem of /a b', undefined, says],
  );
  script('kill -TERM $$');
  assert.equal((await refusal()).message, 'cannot sync the filesystem of /a b: sync was killed by SIGTERM');
});
