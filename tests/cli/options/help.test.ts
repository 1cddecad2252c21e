import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import pMap from 'p-map';
import { doctorOptions } from '../../../lib/cli/options/doctor-options.ts';
import { drillOptions } from '../../../lib/cli/options/drill-options.ts';
import { helpText } from '../../../lib/cli/options/help.ts';
import { planningOptions } from '../../../lib/cli/options/planning-options.ts';
import { pointOptions, thawOptions } from '../../../lib/cli/options/point-options.ts';
import { restoreOptions } from '../../../lib/cli/options/restore-options.ts';
import { settingKeys } from '../../../lib/core/settings/keys.ts';
import { repositoryRoot } from '../../../testing/harness/test-directory.ts';
import { runNode } from '../../support/run-program.ts';

const scripts = readdirSync(join(repositoryRoot, 'scripts')).filter((name) => name.endsWith('.ts'));

/** The names of the options that a script declares, read from its text. */
function declaredOptions(script: string): readonly string[] {
  const source = readFileSync(join(repositoryRoot, 'scripts', script), 'utf8');
  const options = /^ {2}options: \{\n(.*?)^ {2}\},$/ms.exec(source)?.[1] ?? '';
  const named = [...options.matchAll(/^ {4}'?([a-z-]+)'?: (?:\{|\w+Option,)/gm)].map(
    (match) => match[1] ?? '',
  );
  const spread = [...options.matchAll(/^ {4}\.\.\.(\w+),/gm)].flatMap(([, group = '']) =>
    Object.keys(sharedOptions[group] ?? assert.fail(`${script}: ...${group} is not known`)),
  );
  const [, only] = /^ {2}options: (\w+),$/m.exec(source) ?? [];
  const all =
    only === undefined ? [] : Object.keys(sharedOptions[only] ?? assert.fail(`${only} is not known`));
  return [...named, ...spread, ...all];
}

/** True for a script that says that it has no options of its own. */
const hasNone = (script: string) =>
  readFileSync(join(repositoryRoot, 'scripts', script), 'utf8').includes('\n  options: {},\n');

const sharedOptions: Readonly<Record<string, object>> = {
  doctorOptions,
  drillOptions,
  planningOptions,
  pointOptions,
  restoreOptions,
  thawOptions,
};

test('the help names every option with its value, every exit code and every setting', () => {
  const text = helpText('try.ts', 'Tries it.', {
    own: { type: 'string', value: 'WHAT', about: 'a thing' },
    plain: { type: 'string', about: 'without a word for its value' },
    flag: { type: 'boolean', about: 'a switch' },
  });
  assert.match(text, /^Usage: node --import tsx scripts\/try\.ts \[options\]\n\nTries it\.\n/);
  assert.match(text, /^ {2}--own WHAT +a thing$/m);
  assert.match(text, /^ {2}--plain VALUE +without/m);
  assert.match(text, /^ {2}--flag {2,}a switch$/m);
  for (const common of ['config', 'set', 'sets', 'json', 'help'])
    assert.match(text, new RegExp(`^  --${common}\\b`, 'm'));
  for (const code of [0, 1, 2, 3, 4, 5]) assert.match(text, new RegExp(`^  ${code}  \\w`, 'm'));
  for (const key of settingKeys) assert.match(text, new RegExp(`^  ${key}( |$)`, 'm'));
  assert.ok(text.split('\n').every((line) => line.length <= 120 && line === line.trimEnd()));
});

test('--help of every script exits 0, says nothing on stderr, and names all its options', async () => {
  assert.ok(scripts.length >= 6);
  await pMap(
    scripts,
    async (script) => {
      const { exitCode, stdout, stderr } = await runNode([join('scripts', script), '--help']);
      assert.deepEqual([exitCode, stderr], [0, ''], script);
      assert.match(stdout, new RegExp(`^Usage: node --import tsx scripts/${script} `));
      const own = declaredOptions(script);
      assert.ok(own.length > 0 || hasNone(script), script);
      for (const option of own) assert.match(stdout, new RegExp(`^  --${option}\\b`, 'm'), script);
    },
    { concurrency: 3 },
  );
});
