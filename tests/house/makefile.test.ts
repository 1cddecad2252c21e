import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { repositoryRoot } from '../../testing/harness/test-directory.ts';
import { repositoryFiles } from '../support/repository-files.ts';

const makefile = readFileSync(join(repositoryRoot, 'Makefile'), 'utf8');
const help = execFileSync('make', ['help'], { cwd: repositoryRoot, encoding: 'utf8' });
const scripts = repositoryFiles().filter((path) => /^scripts\/[^/]+\.ts$/.test(path));

const phony = [...makefile.matchAll(/^\.PHONY: (.+)$/gm)].flatMap((match) =>
  (match[1] ?? '').trim().split(/\s+/),
);

test('every target is phony but the stamps, and is declared once', () => {
  const targets = [...makefile.matchAll(/^([a-z][a-z-]*):(?!=)/gm)].map((match) => match[1] ?? '');
  assert.ok(targets.length >= 10);
  assert.deepEqual([...targets].sort(), [...new Set(phony)].sort());
});

for (const target of phony) {
  test(`make ${target} has a line of help, and make help prints it`, () => {
    const about = new RegExp(`^${target}:.*## (\\S.*)$`, 'm').exec(makefile)?.[1];
    assert.ok(about, 'there is a line');
    const lines = help.split('\n');
    const first = lines.findIndex((line) => line.startsWith(`  make ${target} `));
    // What does not fit has its variables on a line below.
    const next = lines.findIndex((line, index) => index > first && !line.startsWith('        '));
    const said = lines.slice(first, next).join(' ').replace(/\s+/g, ' ');
    assert.ok(said.endsWith(about.replace(/\s+/g, ' ')), said);
  });
}

test('the help fits a terminal of 100 columns', () => {
  for (const line of help.split('\n')) assert.ok(line.length <= 100, line);
});

test('make alone prints the help, and the help says how to set things', () => {
  assert.equal(execFileSync('make', { cwd: repositoryRoot, encoding: 'utf8' }), help);
  assert.match(help, /CONFIG=.*\n.*SET="KEY=VALUE/);
});

for (const script of scripts) {
  test(`${script} has at most 80 lines, says what it is, and a target runs it`, () => {
    const text = readFileSync(join(repositoryRoot, script), 'utf8');
    const lines = text.trimEnd().split('\n');
    assert.ok(lines.length <= 80, `${lines.length} lines`);
    assert.match(lines[0] ?? '', /^\/\*\* .*\*\/$/);
    assert.ok(text.includes(`file: '${script.replace('scripts/', '')}'`), 'it calls itself by its name');
    assert.match(makefile, new RegExp(`^\\t@\\$\\(TSX\\) ${script} `, 'm'));
  });
}

/** What make would do, and says instead where it does nothing. */
function dryMake(...args: readonly string[]) {
  // As from a shell: the make that runs the tests has passed its own variables.
  const { MAKELEVEL, MAKEFLAGS, MAKEOVERRIDES, ...env } = process.env;
  return spawnSync('make', ['--dry-run', ...args], { cwd: repositoryRoot, encoding: 'utf8', env });
}

for (const [what, args, name] of [
  ['a typo', ['backup', 'SUBVOLUM=data'], 'SUBVOLUM'],
  ['what another target takes', ['restore', 'SUBVOLUME=data', 'TARGET=/mnt/data', 'DRY_RUN=1'], 'DRY_RUN'],
  ['a setting without SET=', ['backup', 'CHUNK_SIZE=1GiB'], 'CHUNK_SIZE'],
  ['settings where none are read', ['install-systemd', 'SET=INCREMENTAL_EVERY=1d'], 'SET'],
] as const) {
  test(`make refuses ${what}, instead of passing it over`, () => {
    const { status, stdout, stderr } = dryMake(...args);
    assert.equal(status, 2);
    assert.equal(stdout, '');
    assert.ok(stderr.includes(`make ${args[0]} takes no ${name}= (make help lists what it takes;`), stderr);
  });
}

test('make refuses a value of which it would take a part for a variable, instead of cutting it', () => {
  for (const cut of ['/a$b', '/a$', '/a$$$b']) {
    const { status, stdout, stderr } = dryMake('restore', 'SUBVOLUME=data', `TARGET=${cut}`);
    assert.equal(status, 2, cut);
    assert.equal(stdout, '');
    assert.match(stderr, /TARGET: make takes a \$ for the beginning of a variable: write \$\$ for each \$/);
  }
  for (const meant of ['/a$$b', '/a$(HOME)', '/a (b) {c}']) {
    const { status, stderr } = dryMake('restore', 'SUBVOLUME=data', `TARGET=${meant}`);
    assert.equal(status, 0, stderr);
  }
});

test("NODE= installs that version of Node.js, and puts it before the system's", () => {
  const { stdout, stderr } = dryMake('test-unit', 'NODE=99');
  assert.match(stdout, /^testing\/install-node\.sh 99$/m, stderr);
  const { MAKELEVEL, MAKEFLAGS, MAKEOVERRIDES, ...env } = process.env;
  const command = ['--eval', 'path: ; @echo "$$PATH"', 'path', 'NODE=99'];
  const path = execFileSync('make', command, { cwd: repositoryRoot, encoding: 'utf8', env });
  assert.equal(path.split(':')[0], join(repositoryRoot, '.node/99/bin'));
});

test('every variable that a target of the daily work passes on is in its help, so that make takes it', () => {
  const rules = makefile.slice(0, makefile.indexOf('##@ Try and develop'));
  const variables = Object.fromEntries(
    [...rules.matchAll(/^(settings|selection|planning|point) = (.*)$/gm)].map(([, name = '', value = '']) => [
      `$(${name})`,
      value,
    ]),
  );
  const expanded = (text: string): string =>
    text.replace(/\$\((settings|selection|planning|point)\)/g, (name) => expanded(variables[name] ?? ''));
  const targets = [...rules.matchAll(/^([a-z-]+):.*\n((?:\t.*\n)+)/gm)];
  assert.ok(targets.length >= 11);
  for (const [, target = '', recipe = ''] of targets) {
    const passedOn = [...expanded(recipe).matchAll(/\$\(call (?:option|unless|flag),([A-Z_]+),/g)];
    const args = passedOn.map(([, name]) => `${name}=1`);
    const { status, stderr } = dryMake(target, ...args);
    assert.equal(status, 0, stderr);
    // Which also shows that the target is one of those that are looked at.
    assert.equal(dryMake(target, ...args, 'NO_SUCH=1').status, 2, target);
  }
});

test('what a target passes on, its script knows', () => {
  const names = [...makefile.matchAll(/\$\(call (?:option|flag|unless),[A-Z_]+,([a-z-]+)\)/g)].map(
    (match) => match[1] ?? '',
  );
  assert.ok(names.length >= 10);
  const benches = ['testing/bench/bench.ts', 'testing/bench/growth.ts'];
  const known = [
    ...scripts,
    ...benches,
    'testing/scripts/demo.ts',
    'testing/scripts/run-all.ts',
    'lib/cli/options/doctor-options.ts',
    'lib/cli/options/help.ts',
    'lib/cli/options/planning-options.ts',
    'lib/cli/options/point-options.ts',
    'lib/cli/options/restore-options.ts',
  ]
    .map((path) => readFileSync(join(repositoryRoot, path), 'utf8'))
    .join('\n');
  for (const name of names.filter((word) => word !== 'x')) {
    assert.match(known, new RegExp(`^ +'?${name}'?: (\\{|\\w+Option,)|--${name}`, 'm'), `--${name}`);
  }
});
