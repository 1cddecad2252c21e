import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isPretty } from '../../lib/cli/log.ts';
import { shell } from '../../testing/harness/processes/shell.ts';
import { repositoryRoot } from '../../testing/harness/test-directory.ts';
import { runCode } from '../support/run-program.ts';

/** What is written to stderr by code that has a log of this format. */
async function logged(format: 'json' | 'pretty' | 'auto', level: string, code: string): Promise<string> {
  const { exitCode, stdout, stderr } = await runCode(`
    import { createLog, logError } from './lib/cli/log.ts';
    import { ToolError } from './lib/core/errors.ts';
    const log = await createLog({ script: 'upload', format: '${format}', level: '${level}' });
    ${code}`);
  assert.deepEqual([exitCode, stdout], [0, ''], stderr);
  return stderr;
}

const child = `logError(log, new ToolError('first\\nsecond', { kind: 'damage', isList: true, hint: 'do this', childOutput: 'a\\n\\nb' }), 'data: ');`;

test('JSON lines carry time, level, script and message, and the output of a child with the last line', async () => {
  const text = await logged(
    'json',
    'info',
    `log.info('hello'); log.debug('hidden'); ${child} process.exit(0);`,
  );
  const records = text
    .trim()
    .split('\n')
    .map((line): Record<string, unknown> => JSON.parse(line));
  for (const { time } of records) assert.match(String(time), /^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.deepEqual(
    records.map(({ time: _, ...rest }) => rest),
    [
      { level: 'info', script: 'upload', msg: 'hello' },
      { level: 'error', script: 'upload', kind: 'damage', msg: 'data: first' },
      {
        level: 'error',
        script: 'upload',
        kind: 'damage',
        childOutput: 'a\n\nb',
        msg: 'data: second; do this',
      },
    ],
  );
});

test('for people there is the level, the line, and what a child said indented below', async () => {
  const text = await logged('pretty', 'info', `log.warn('careful'); ${child} process.exit(0);`);
  assert.equal(text, 'WARN: careful\nERROR: data: first\nERROR: data: second; do this\n    a\n    b\n');
});

const nasty = `logError(log, new ToolError('one\\nfailure')); log.warn('a\\u001b[2J\\u009b\\nb'); logError(log, new ToolError('c\\u202e', { childOutput: 'd\\u0007\\u007f' })); process.exit(0);`;

test('nothing that came from outside reaches a terminal as a command', async () => {
  assert.equal(
    await logged('pretty', 'info', nasty),
    'ERROR: one\\nfailure\nWARN: a\\u001b[2J\\u009b\\nb\nERROR: c\\u202e\n    d\\u0007\\u007f\n',
  );
  const text = await logged('json', 'info', nasty);
  assert.doesNotMatch(text.replaceAll('\n', ''), /[\p{Cc}\u202e]/u);
  const [broken, warning, error] = text
    .trim()
    .split('\n')
    .map((line): Record<string, unknown> => JSON.parse(line));
  assert.equal(broken?.msg, 'one\nfailure');
  assert.equal(warning?.msg, 'a\u001b[2J\u009b\nb');
  assert.deepEqual([error?.msg, error?.childOutput], ['c\u202e', 'd\u0007\u007f']);
});

test('a defect is called one, with its stack below', async () => {
  const text = await logged(
    'auto',
    'error',
    `log.warn('hidden'); logError(log, new TypeError('x is undefined'));`,
  );
  const record: Record<string, unknown> = JSON.parse(text);
  assert.equal(record.msg, 'this is a defect of btrfs-to-s3: TypeError: x is undefined');
  assert.match(String(record.childOutput), /^TypeError: x is undefined\n +at /);
});

test('auto is for people only on a terminal', () => {
  const { isTTY } = process.stderr;
  try {
    for (const terminal of [true, false]) {
      process.stderr.isTTY = terminal;
      assert.deepEqual([isPretty('auto'), isPretty('pretty'), isPretty('json')], [terminal, true, false]);
    }
  } finally {
    process.stderr.isTTY = isTTY;
  }
});

test('a log that no one can take, on a full disk or a terminal that is gone, does not end the work', async () => {
  for (const format of ['json', 'pretty']) {
    const code = `import { createLog } from './lib/cli/log.ts';
      const log = await createLog({ script: 'upload', format: '${format}', level: 'info' });
      for (let line = 0; line < 3; line++) log.info('hello');
      console.log('still here');`;
    const { stdout } = await shell({
      cwd: repositoryRoot,
    })`node --import tsx --input-type=module --eval ${code} 2> /dev/full`;
    assert.equal(stdout, 'still here\n');
  }
});
