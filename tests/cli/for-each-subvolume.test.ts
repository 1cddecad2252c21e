import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Logger } from 'pino';
import { forEachSubvolume, selectSubvolumes } from '../../lib/cli/for-each-subvolume.ts';
import { exitCodeOf, ToolError } from '../../lib/core/errors.ts';

const all = ['data', 'home', 'root'].map((name) => ({ name, path: `/${name}` }));
const never = new AbortController().signal;

/** A log that keeps its lines. */
function keepingLog() {
  const lines: string[] = [];
  const log = { error: (_details: object, line: string) => lines.push(line) } as unknown as Logger;
  return { lines, log };
}

test('nothing said means all; names are taken in the order of SUBVOLUMES', () => {
  assert.deepEqual(selectSubvolumes(all, undefined), all);
  assert.deepEqual(
    selectSubvolumes(all, 'home').map(({ name }) => name),
    ['home'],
  );
  assert.deepEqual(
    selectSubvolumes(all, ' root , data,root').map(({ name }) => name),
    ['data', 'root'],
  );
});

for (const selection of ['', ' ', 'nope', 'data,nope', 'data,', 'Data', '/data']) {
  test(`SUBVOLUME="${selection}" is a mistake, and the line says what there is`, () => {
    assert.throws(
      () => selectSubvolumes(all, selection),
      (error: ToolError) => {
        assert.equal(exitCodeOf(error), 2);
        assert.match(error.message, /selects nothing/);
        assert.equal(error.hint, 'choose from: data, home, root');
        return true;
      },
    );
  });
}

test('each has its turn, one after the other, and its result', async () => {
  const { lines, log } = keepingLog();
  let running = 0;
  const stage = async ({ name }: { readonly name: string }) => {
    assert.equal(++running, 1);
    await new Promise((resolve) => setImmediate(resolve));
    running--;
    return name.length;
  };
  assert.deepEqual(await forEachSubvolume(all, stage, log, never), {
    results: [
      ['data', 4],
      ['home', 4],
      ['root', 4],
    ],
    failed: [],
    errors: [],
    exitCode: 0,
  });
  assert.deepEqual(lines, []);
});

test('one failure does not stop the others, is named, and decides the exit code', async () => {
  const { lines, log } = keepingLog();
  const stage = async ({ name }: { readonly name: string }) => {
    if (name === 'home') throw new ToolError('it is damaged', { kind: 'damage', hint: 'look' });
    if (name === 'data') throw new ToolError('it failed');
    return name;
  };
  const { errors, ...outcome } = await forEachSubvolume(all, stage, log, never);
  assert.deepEqual(
    errors.map(([name, error]) => `${name}: ${(error as Error).message}`),
    ['data: it failed', 'home: it is damaged'],
  );
  assert.deepEqual(outcome, {
    results: [['root', 'root']],
    failed: ['data', 'home'],
    exitCode: 4,
  });
  assert.deepEqual(lines, ['data: it failed', 'home: it is damaged; look']);
});

test('a single one is not named again, and a defect is called one', async () => {
  const { lines, log } = keepingLog();
  const { errors: _, ...outcome } = await forEachSubvolume(
    all.slice(0, 1),
    async () => {
      throw new TypeError('x is undefined');
    },
    log,
    never,
  );
  assert.deepEqual(outcome, { results: [], failed: ['data'], exitCode: 1 });
  assert.deepEqual(lines, ['this is a defect of btrfs-to-s3: TypeError: x is undefined']);
});

test('an abort stops the others and is what comes out', async () => {
  const { lines, log } = keepingLog();
  const ending = new AbortController();
  const begun: string[] = [];
  const stage = async ({ name }: { readonly name: string }) => {
    begun.push(name);
    ending.abort(new Error('stopped'));
    throw new Error('a consequence');
  };
  await assert.rejects(forEachSubvolume(all, stage, log, ending.signal), /^Error: stopped$/);
  assert.deepEqual([begun, lines], [['data'], []]);
});
