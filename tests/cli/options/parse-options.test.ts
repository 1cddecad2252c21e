import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { parseOptions } from '../../../lib/cli/options/parse-options.ts';
import { exitCodeOf, ToolError } from '../../../lib/core/errors.ts';

const definitions = {
  subvolume: { type: 'string', about: '' },
  at: { type: 'string', about: '' },
  deep: { type: 'boolean', about: '' },
} as const;

const argv = process.argv;
afterEach(() => {
  process.argv = argv;
});

function parse(...args: readonly string[]) {
  process.argv = ['node', 'scripts/try.ts', ...args];
  return parseOptions('try.ts', definitions);
}

test('without flags there are only defaults', () => {
  assert.deepEqual(parse(), { own: {}, config: 'config/backup.env', sets: [], json: false, help: false });
});

test('own and common flags are read, with the value beside or behind "="', () => {
  assert.deepEqual(
    parse('--subvolume', 'data', '--deep', '--at=2026-01-01', '--config', 'x.env', '--json', '--help'),
    {
      own: { subvolume: 'data', deep: 'true', at: '2026-01-01' },
      config: 'x.env',
      sets: [],
      json: true,
      help: true,
    },
  );
});

test('of an option that is given twice the last counts', () => {
  const { own, config } = parse('--subvolume=a', '--subvolume=b', '--config=1', '--config=2');
  assert.deepEqual([own, config], [{ subvolume: 'b' }, '2']);
});

test('an empty value is a value', () => {
  assert.deepEqual(parse('--subvolume', '').own, { subvolume: '' });
});

test('settings come one by one, or several in one option that is cut at blanks', () => {
  assert.deepEqual(parse('--set', 'A=1 2', '--set=B=', '--sets', '  C=3\tD=4=5\n').sets, [
    'A=1 2',
    'B=',
    'C=3',
    'D=4=5',
  ]);
  assert.deepEqual(parse('--sets', '').sets, []);
});

for (const [args, says] of [
  [['--nope'], /^Unknown option '--nope'$/],
  [['-x'], /^Unknown option '-x'$/],
  [['--__proto__'], /^Unknown option '--__proto__'$/],
  [['data'], /^an argument has no option before it$/],
  [['--set', 'AWS_SECRET_ACCESS_KEY', 'value'], /^an argument has no option before it$/],
  [['--', 'data'], /^an argument has no option before it$/],
  [['--subvolume'], /^Option '--subvolume <value>' argument missing$/],
  [['--subvolume', '--deep'], /^Option '--subvolume' argument is ambiguous$/],
  [['--deep=yes'], /^Option '--deep' does not take an argument$/],
  [['--no-deep'], /^Unknown option '--no-deep'$/],
] as const) {
  test(`"${args.join(' ')}" is refused in one line that leads to --help`, () => {
    assert.throws(
      () => parse(...args),
      (error: ToolError) => {
        assert.ok(error instanceof ToolError);
        assert.match(error.message, says);
        assert.equal(exitCodeOf(error), 2);
        assert.match(error.hint ?? '', /scripts\/try\.ts --help/);
        return true;
      },
    );
  });
}

test('a word with bytes that are not UTF-8 is refused: node would make another name of it', () => {
  for (const args of [['--at', '/mnt/\uFFFD'], ['--config=\uFFFD.env'], ['--set', 'SNAPSHOT_DIR=/\uFFFD']]) {
    assert.throws(
      () => parse(...args),
      (error) => {
        assert.ok(error instanceof ToolError, String(error));
        assert.equal(exitCodeOf(error), 2);
        return /on the command line has bytes that are not UTF-8$/.test(error.message);
      },
    );
  }
});
