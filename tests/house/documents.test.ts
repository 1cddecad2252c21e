/** What the documents name exists: links, commands, settings and paths. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { awsVariables, settingKeys } from '../../lib/core/settings/keys.ts';
import { repositoryRoot } from '../../testing/harness/test-directory.ts';
import { repositoryFiles } from '../support/repository-files.ts';

const textOf = (path: string) => readFileSync(join(repositoryRoot, path), 'utf8');
const documents = repositoryFiles().filter((path) => path.endsWith('.md'));
const makefile = textOf('Makefile');
const targets = new Set([...makefile.matchAll(/^\.PHONY: (\S+)$/gm)].map((match) => match[1] ?? ''));

/** Indented blocks, fenced blocks and code spans, each with its text. */
function codeOf(markdown: string): readonly string[] {
  const blocks = [...markdown.matchAll(/^(?: {4}.*\n?)+|^```[^\n]*\n([\s\S]*?)^```/gm)];
  const spans = [...markdown.matchAll(/`([^`\n]+)`/g)];
  return [...blocks, ...spans].map((match) => match[1] ?? match[0]);
}

/** As GitHub makes them: lower case, spaces become dashes, punctuation goes. */
function anchorsOf(markdown: string): ReadonlySet<string> {
  const headings = [...markdown.matchAll(/^#+ (.+)$/gm)].map((match) => match[1] ?? '');
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

/** What is wrong with the links of a document; `around` is its folder, from the root. */
function brokenLinks(markdown: string, path: string): readonly string[] {
  const links = [...markdown.matchAll(/\]\(([^)\s]+)\)|(?:srcset|src)="([^"]+)"/g)].map(
    (match) => match[1] ?? match[2] ?? '',
  );
  return links.filter((link) => {
    if (/^https?:/.test(link)) return false;
    const [file = '', anchor] = link.split('#');
    const target = file === '' ? path : join(dirname(path), file);
    if (!existsSync(join(repositoryRoot, target))) return true;
    return anchor !== undefined && !anchorsOf(textOf(target)).has(anchor);
  });
}

/** `make TARGET` in code whose target does not exist, and variables that nothing takes. */
function unknownCommands(markdown: string): readonly string[] {
  const known = new Set<string>([...settingKeys, ...awsVariables]);
  return codeOf(markdown).flatMap((code) => [
    ...[...code.matchAll(/(?:^|[;&|(])[ \t]*make ([a-z][a-z0-9-]*)/gm)]
      .map((match) => match[1] ?? '')
      .filter((target) => !targets.has(target))
      .map((target) => `make ${target}`),
    ...[...code.matchAll(/(?<![\w$-])([A-Z][A-Z0-9_]{2,})=/g)]
      .map((match) => match[1] ?? '')
      .filter(
        (name) =>
          !known.has(name) && !new RegExp(`\\b${name}\\b`).test(makefile) && !otherVariables.has(name),
      )
      .map((name) => `${name}=`),
  ]);
}

/** Variables that tests, the harness, units and shell scripts read, and one of glibc. Not this file's examples. */
const otherVariables = new Set([
  'GLIBC_TUNABLES',
  ...repositoryFiles()
    .filter((path) =>
      /^(?:testing|tests)\/.*\.(?:ts|sh|env)$|^config\/systemd\/|^scripts\/.*\.sh$/.test(path),
    )
    .filter((path) => path !== 'tests/house/documents.test.ts')
    .flatMap((path) => textOf(path).match(/\b[A-Z][A-Z0-9_]{2,}\b/g) ?? []),
]);

/** Settings in indented blocks with a comment behind the value, which would be a part of it. */
function commentedSettings(markdown: string): readonly string[] {
  const known = new Set<string>([...settingKeys, ...awsVariables]);
  return [...markdown.matchAll(/^ {4}([A-Z][A-Z0-9_]+)=.*\s#.*$/gm)].flatMap((match) =>
    known.has(match[1] ?? '') ? [match[0].trim()] : [],
  );
}

/** Paths below the top-level folders that are not there. Placeholders in capitals, globs and `…` are none. */
function missingPaths(markdown: string, path: string): readonly string[] {
  const named = [...markdown.matchAll(/`((?:lib|scripts|config|docs|testing|tests|launcher)\/[\w./-]+)`/g)];
  return named
    .map((match) => match[1] ?? '')
    .filter((name) => !/testing\/run\b|config\/backup\.env$|NAME/.test(name))
    .filter(
      (name) =>
        ![repositoryRoot, join(repositoryRoot, dirname(path))].some((base) => existsSync(join(base, name))),
    );
}

test('links, commands and paths that do not exist are found', () => {
  const text =
    '# A b\n[a](#a-b) [c](#c) [d](no.md)\n\n    make nothing\n\n`make backup INVENTED_NAME=1` `lib/no.ts`\n';
  assert.deepEqual(brokenLinks(text.replaceAll('#a-b', 'README.md'), 'README.md'), ['#c', 'no.md']);
  assert.deepEqual(unknownCommands(text), ['make nothing', 'INVENTED_NAME=']);
  assert.deepEqual(missingPaths(text, 'README.md'), ['lib/no.ts']);
  assert.deepEqual(commentedSettings('    DRILL=off  # why\n    make drill  # DRILL=off\n'), [
    'DRILL=off  # why',
  ]);
});

for (const path of documents) {
  test(`${path}: links, commands, settings and paths exist`, () => {
    const text = textOf(path);
    assert.deepEqual(brokenLinks(text, path), []);
    assert.deepEqual(unknownCommands(text), []);
    assert.deepEqual(missingPaths(text, path), []);
    assert.deepEqual(commentedSettings(text), []);
  });
}

test('README.md can be read in one sitting, and every page of docs/ opens with a question', () => {
  const words = textOf('README.md').split(/\s+/).filter(Boolean).length;
  assert.ok(words <= 1000, `${words} words`);
  for (const path of documents.filter((name) => /^docs\/[^/]+\.md$/.test(name)))
    assert.match(textOf(path), /^# [^\n]+\?\n/, path);
});
