/** Writes the generated files anew. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { generatedFiles } from '../harness/generated-files.ts';
import { repositoryRoot } from '../harness/test-directory.ts';

for (const [path, text] of await generatedFiles()) {
  await writeFile(join(repositoryRoot, path), text);
  console.log(`wrote ${path}`);
}
