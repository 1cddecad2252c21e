import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { repositoryRoot } from '../../testing/harness/test-directory.ts';
import { repositoryFiles } from '../support/repository-files.ts';

const sources = repositoryFiles().filter((path) => /^(lib|scripts)\/.*\.ts$/.test(path));

/** What a file imports: paths from the repository's root for its own files, names for everything else. */
function importsOf(path: string): readonly string[] {
  const source = readFileSync(join(repositoryRoot, path), 'utf8');
  const found = source.matchAll(
    /^(?:import|export)\b[^'";]*?from '([^']+)'|^import '([^']+)'|\bimport\('([^']+)'\)/gm,
  );
  return [...found].map((match) => {
    const name = match[1] ?? match[2] ?? match[3] ?? '';
    return name.startsWith('.') ? normalize(join(dirname(path), name)) : name;
  });
}

const imports = new Map(sources.map((path) => [path, importsOf(path)]));

/** `core`, `edge`, `transfer`, `stage`, `cli` or `scripts`. */
const layerOf = (path: string) =>
  path.startsWith('lib/') ? (path.split('/')[1] ?? '') : (path.split('/')[0] ?? '');

const arrows: Readonly<Record<string, readonly string[]>> = {
  scripts: ['cli', 'stage', 'transfer', 'edge', 'core'],
  cli: ['cli', 'stage', 'transfer', 'edge', 'core'],
  stage: ['stage', 'transfer', 'edge', 'core'],
  transfer: ['transfer', 'edge', 'core'],
  edge: ['edge', 'core'],
  core: ['core'],
};

test('imports point one way: scripts, cli, stage, transfer, edge, core', () => {
  assert.ok(sources.length > 40);
  const wrong = [...imports].flatMap(([path, names]) =>
    names
      .filter((name) => /^(lib|scripts|testing|tests)\//.test(name))
      .filter((name) => !arrows[layerOf(path)]?.includes(layerOf(name)))
      .map((name) => `${path} imports ${name}`),
  );
  assert.deepEqual(wrong, []);
});

test('every file that is imported is there', () => {
  const own = [...imports.values()].flat().filter((name) => name.startsWith('lib/'));
  assert.ok(own.length > 100);
  assert.deepEqual(
    own.filter((name) => !sources.includes(name)),
    [],
  );
});

test('the core imports nothing of Node, of AWS or of the terminal', () => {
  const allowed = ['zod', 'dotenv', 'fastest-levenshtein', 'picomatch'];
  const foreign = [...imports]
    .filter(([path]) => layerOf(path) === 'core')
    .flatMap(([path, names]) =>
      names.filter((name) => !name.startsWith('lib/core/')).map((name) => ({ path, name })),
    );
  assert.ok(foreign.length > 0);
  assert.deepEqual(
    foreign.filter(({ name }) => !allowed.includes(name)),
    [],
  );
});

test('no import leads back to where it came from', () => {
  const cycles: string[] = [];
  const done = new Set<string>();
  const follow = (path: string, trail: readonly string[]): void => {
    if (trail.includes(path)) {
      cycles.push([...trail.slice(trail.indexOf(path)), path].join(' → '));
      return;
    }
    if (done.has(path)) return;
    for (const name of imports.get(path) ?? []) follow(name, [...trail, path]);
    done.add(path);
  };
  for (const path of sources) follow(path, []);
  assert.deepEqual(cycles, []);
});

test('no file in lib/ but in lib/cli/ reads the command line or ends the process', () => {
  const outside = sources.filter((path) => path.startsWith('lib/') && layerOf(path) !== 'cli');
  const pattern = /process\.(argv|exit\b|exitCode)|from 'node:process'|\bargv\b/;
  assert.deepEqual(
    outside.filter((path) => pattern.test(readFileSync(join(repositoryRoot, path), 'utf8'))),
    [],
  );
});

test('no file in lib/ asks where it is: in the bundle from which make runs it, that is where the script is', () => {
  const library = sources.filter((path) => path.startsWith('lib/'));
  assert.deepEqual(
    library.filter((path) => readFileSync(join(repositoryRoot, path), 'utf8').includes('import.meta')),
    [],
  );
});
