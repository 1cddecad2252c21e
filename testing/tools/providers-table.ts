/** Tries backups on every provider whose habits the embedded server plays, and writes what works where into docs/providers.md. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { listenForStop } from '../harness/processes/stop.ts';
import { type ProviderOutcome, tryProvider } from '../harness/providers/journey.ts';
import { renderTable, withTable } from '../harness/providers/table.ts';
import { repositoryRoot } from '../harness/test-directory.ts';
import { providerNames } from '../s3-server/habits/providers.ts';

process.chdir(repositoryRoot);
const document = join(repositoryRoot, 'docs/providers.md');
const only = process.argv.slice(2);
const signal = listenForStop();
const outcomes: ProviderOutcome[] = [];
for (const provider of providerNames.filter((name) => only.length === 0 || only.includes(name))) {
  process.stderr.write(`${provider} …\n`);
  outcomes.push(await tryProvider(provider, signal));
}
if (only.length > 0) {
  console.log(renderTable(outcomes));
} else {
  await writeFile(document, withTable(await readFile(document, 'utf8'), outcomes));
  console.log('wrote docs/providers.md');
}
process.exit(0);
