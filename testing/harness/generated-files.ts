/** Files that are made from the code and kept in the repository for people and other tools. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { manifestSchema } from '../../lib/core/format/manifest.ts';
import { exampleSettings, settingsTable } from '../../lib/core/settings/describe-settings.ts';
import { repositoryRoot } from './test-directory.ts';

const tableStart = '<!-- settings: made by "make schema" -->';
const tableEnd = '<!-- end of settings -->';

/** Path, relative to the repository, and text of each generated file. */
export async function generatedFiles(): Promise<ReadonlyMap<string, string>> {
  const readme = await readFile(join(repositoryRoot, 'config/README.md'), 'utf8');
  const [before = '', rest = ''] = readme.split(tableStart);
  const after = rest.slice(rest.indexOf(tableEnd) + tableEnd.length);
  return new Map([
    ['config/backup.env.example', exampleSettings()],
    ['config/manifest.schema.json', `${JSON.stringify(manifestJsonSchema(), null, 2)}\n`],
    ['config/README.md', `${before}${tableStart}\n\n${settingsTable()}\n\n${tableEnd}${after}`],
  ]);
}

/** The JSON Schema of a manifest as it is read; unknown fields are allowed. */
function manifestJsonSchema(): object {
  const schema = z.toJSONSchema(manifestSchema, { io: 'input' });
  return { ...schema, title: 'btrfs-to-s3 manifest, version 1' };
}
