/** Installs the systemd units of config/systemd/, filled in for this checkout, or removes them. */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { describeError, exitCodeOf, ToolError } from '../lib/core/errors.ts';

const script = {
  file: 'systemd.ts',
  options: {
    config: { type: 'string', default: 'config/backup.env' },
    prefix: { type: 'string', default: '/usr/local' },
    destdir: { type: 'string', default: '' },
    help: { type: 'boolean' },
  },
} as const;

const usage = `Usage: node --import tsx scripts/${script.file} install|uninstall [options]

Installs the systemd units of config/systemd/, filled in for this checkout, and btrfs-to-s3(1), or removes them.

Options
  --config FILE          settings file of the backups (default: config/backup.env)
  --prefix DIR           units go into lib/systemd/system below it (default: /usr/local)
  --destdir DIR          stands before the prefix, for packages; the running systemd does not hear of it then
  --help                 print this and do nothing

Exit codes: 0 done, 1 failed, 2 wrong usage; nothing was done.`;

const refusal = (message: string) => new ToolError(message, { kind: 'usage' });

/** @throws ToolError of the kind `usage` */
function readArguments() {
  // Not strict: what is wrong is said in one line, below.
  const { values, positionals, tokens } = parseArgs({
    options: script.options,
    allowPositionals: true,
    strict: false,
    tokens: true,
  });
  const [action, ...more] = positionals;
  if (values.help === true) return 'help';
  if (action !== 'install' && action !== 'uninstall') {
    throw refusal(`say install or uninstall, not "${action ?? ''}"`);
  }
  for (const token of tokens) {
    if (token.kind !== 'option') continue;
    if (!(token.name in script.options)) throw refusal(`${token.rawName} is no option`);
    if (token.value === undefined) throw refusal(`${token.rawName} has no value`);
  }
  if (more.length > 0) throw refusal(`${more[0]} is no option`);
  const { config, prefix, destdir } = values as Record<'config' | 'prefix' | 'destdir', string>;
  if (!prefix.startsWith('/')) throw refusal(`PREFIX=${prefix} is not an absolute path`);
  if (destdir && !destdir.startsWith('/')) throw refusal(`DESTDIR=${destdir} is not an absolute path`);
  return { action, config, places: { prefix, destdir } };
}

try {
  const request = readArguments();
  if (request === 'help') console.log(usage);
  else {
    const { install, uninstall } = await import('../lib/cli/install.ts');
    const { action, ...wanted } = request;
    const checkout = join(import.meta.dirname, '..');
    const lines = action === 'install' ? await install(checkout, wanted) : await uninstall(wanted);
    if (lines.length > 0) console.log(lines.join('\n'));
  }
} catch (error) {
  console.error(`${script.file}: ${describeError(error)}`);
  process.exitCode = exitCodeOf(error);
}
