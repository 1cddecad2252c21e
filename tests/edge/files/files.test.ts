import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { z } from 'zod';
import { ToolError } from '../../../lib/core/errors.ts';
import { codeOf, fileError, pathExists, readJsonFile, writeJsonFile } from '../../../lib/edge/files/files.ts';
import { temporaryDirectory, tinyFilesystem } from '../../support/temporary-directory.ts';

const directory = temporaryDirectory('files');
const tiny = tinyFilesystem('files', 64 * 1024);
const schema = z.object({ text: z.string() });
const at = (name: string) => join(directory, name);

test('what was written is read, in a file and a folder for their owner alone', async () => {
  const path = at('new/deep/file.json');
  await writeJsonFile(path, { text: 'ümläut' });
  assert.deepEqual(await readJsonFile(path, schema), { text: 'ümläut' });
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(statSync(at('new/deep')).mode & 0o777, 0o700);
  assert.match(readFileSync(path, 'utf8'), /\}\n$/);
});

test('a reader sees the old file or the new one, never a part of either', async () => {
  const path = at('both.json');
  const [old, fresh] = ['a'.repeat(300_000), 'b'.repeat(300_000)];
  await writeJsonFile(path, { text: old });
  let writing = true;
  const writes = (async () => {
    for (let round = 0; round < 20; round++)
      await writeJsonFile(path, { text: round % 2 === 0 ? fresh : old });
    writing = false;
  })();
  let reads = 0;
  for (; writing; reads++) {
    const read = await readJsonFile(path, schema);
    assert.ok(read?.text === old || read?.text === fresh);
  }
  await writes;
  assert.ok(reads > 0);
  assert.deepEqual(
    readdirSync(directory).filter((name) => name.endsWith('.tmp')),
    [],
  );
});

test('a file that is not there is undefined; what cannot be understood is an error with a way out', async () => {
  assert.equal(await readJsonFile(at('none.json'), schema), undefined);
  for (const text of ['', '{', '[]', '{"text": 1}', 'null']) {
    writeFileSync(at('bad.json'), text);
    await assert.rejects(readJsonFile(at('bad.json'), schema), (error: ToolError) => {
      assert.equal(error.message, `${at('bad.json')} cannot be understood`);
      assert.match(error.hint ?? '', /remove it/);
      return error instanceof ToolError;
    });
  }
  await assert.rejects(readJsonFile(directory, schema), /cannot read /);
});

test('on a full disk the line says so, the old file stays, and no temporary file is left', async () => {
  const path = join(tiny, 'file.json');
  await writeJsonFile(path, { text: 'old' });
  await assert.rejects(writeJsonFile(path, { text: 'x'.repeat(100_000) }), (error: ToolError) => {
    assert.equal(error.message, `cannot write ${path}: the disk is full`);
    assert.match(error.hint ?? '', /make room, or set RUN_DIR/);
    return error instanceof ToolError;
  });
  assert.deepEqual(readdirSync(tiny), ['file.json']);
  assert.deepEqual(await readJsonFile(path, schema), { text: 'old' });
});

test('a place that cannot be written is named, whatever is in the way', async () => {
  writeFileSync(at('plain'), '');
  mkdirSync(at('folder.json'));
  for (const path of [at('plain/file.json'), at('plain/deep/file.json'), at('folder.json')]) {
    await assert.rejects(writeJsonFile(path, {}), (error: ToolError) => {
      assert.ok(error instanceof ToolError, String(error));
      assert.ok(error.message.startsWith(`cannot write ${path}: `), error.message);
      return true;
    });
  }
  assert.deepEqual(
    readdirSync(directory).filter((name) => name.endsWith('.tmp')),
    [],
  );
});

test('a path exists when anything is there, a dangling link too', async () => {
  symlinkSync('/nonexistent', at('dangling'));
  writeFileSync(at('there'), '');
  assert.deepEqual(
    await Promise.all(['dangling', 'there', 'not-there'].map((name) => pathExists(at(name)))),
    [true, true, false],
  );
  await assert.rejects(
    pathExists(at('there/below')),
    /cannot look at .*: a part of the path is not a directory/,
  );
});

for (const [code, words] of [
  ['ENOSPC', 'the disk is full'],
  ['EDQUOT', 'the quota is used up'],
  ['EACCES', 'permission was denied'],
  ['EPERM', 'permission was denied'],
  ['EROFS', 'the filesystem is read-only'],
  ['ENOENT', 'it does not exist'],
  ['ENOTDIR', 'a part of the path is not a directory'],
  ['EIO', 'EIO: in its own words'],
] as const) {
  test(`${code} reads: ${words}`, () => {
    const cause = Object.assign(new Error('EIO: in its own words'), { code });
    const error = fileError('cannot write x', cause);
    assert.equal(error.message, `cannot write x: ${words}`);
    assert.equal(error.cause, cause);
    assert.equal(error.hint !== undefined, code === 'ENOSPC' || code === 'EDQUOT');
    assert.equal(codeOf(cause), code);
  });
}

test('what is no system error has no code', () => {
  assert.deepEqual([codeOf(new Error('x')), codeOf('x'), codeOf(undefined)], ['', '', '']);
});
