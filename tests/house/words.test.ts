/** The prose of the project keeps to plain English: phrases that a reader stumbles over do not come back. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { repositoryRoot } from '../../testing/harness/test-directory.ts';
import { repositoryFiles } from '../support/repository-files.ts';

/** A phrase, and what to write in its place. */
const refused: readonly (readonly [phrase: RegExp, instead: string])[] = [
  [/\btold\b/i, 'reported, named, shown, called with'],
  [/\b(some|no|every)body\b/i, 'the one who does it, or "no one"'],
  [/\bwish(es|ed)?\b/i, 'asked for, requested'],
  [/\b(gone|goes|going) on with\b/i, 'resumes, continues'],
  [/\bknows? no\b/i, 'has no, does not support'],
  [/\bended well\b/i, 'exited 0, succeeded'],
  [/\bin silence\b/i, 'silently'],
  [/\bin vain\b/i, 'without success'],
  [/\bof the future\b/i, 'dated in the future'],
  [/\banother one than\b/i, 'another, replaced, changed'],
  [/\btaken for (readable|lost|damaged)\b/i, 'assumed'],
  [/\blooks? like others\b/i, "don't match"],
  [/\bthe line is (down|slow)\b/i, 'the network'],
];

const places = /^(lib|scripts|config|docs|testing)\/|^(Makefile|[A-Z]+\.md)$/;

test('no message, comment or page has a phrase that is hard to read', () => {
  const found: string[] = [];
  for (const path of repositoryFiles().filter((file) => places.test(file))) {
    for (const [index, line] of readFileSync(join(repositoryRoot, path), 'utf8').split('\n').entries()) {
      for (const [phrase, instead] of refused) {
        const words = phrase.exec(line)?.[0];
        if (words !== undefined) found.push(`${path}:${index + 1}: "${words}": ${instead}`);
      }
    }
  }
  assert.deepEqual(found, []);
});
