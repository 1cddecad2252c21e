/** The systemd units of config/systemd/: filled in for a checkout, installed, removed. The running systemd reloads, except with a DESTDIR. */
import { dirname, join, resolve } from 'node:path';
import { $, fs, which } from 'zx';
import { ToolError } from '../../core/errors.ts';
import { fileError } from './files.ts';

const units = ['btrfs-to-s3.service', 'btrfs-to-s3.timer'];

/** Where units go: below `destdir`, which is for packages and may be empty, and `prefix`. Both are absolute paths. */
export interface UnitPlaces {
  readonly prefix: string;
  readonly destdir: string;
}

/**
 * Installs the units, readable by all.
 * @param needed paths whose mounts must be there before the service starts.
 * @returns the report, line by line.
 * @throws ToolError of the kind `usage`, before anything is written, for a path that cannot stand in a unit.
 */
export async function installUnits(
  checkout: string,
  configFile: string,
  places: UnitPlaces,
  needed: readonly string[],
): Promise<readonly string[]> {
  const config = resolve(configFile);
  const node = await which('node', { nothrow: true });
  if (!node) throw new ToolError('node is not in PATH', { hint: 'run make setup' });
  const values = { CHECKOUT: checkout, CONFIG: config, NODE_DIRECTORY: dirname(node) };
  for (const path of Object.values(values)) {
    // What systemd would read as a quote, a specifier or the end of a word.
    if (/^[A-Za-z0-9/._+:@-]+$/.test(path)) continue;
    const message = `${path} cannot be used in a systemd unit: use a path of letters, digits and /._+:@- only`;
    throw new ToolError(message, { kind: 'usage' });
  }
  const { target } = directoriesOf(places);
  for (const unit of units) {
    let text = await fs.readFile(join(checkout, 'config/systemd', unit), 'utf8');
    for (const [name, value] of Object.entries(values)) text = text.replaceAll(`@${name}@`, value);
    text = text.replaceAll('@NEEDED@', needed.map(asWord).join(' '));
    const path = join(target, unit);
    await fs
      .outputFile(path, text)
      .then(() => fs.chmod(path, 0o644))
      .catch((cause: unknown) => {
        throw fileError(`cannot write ${path}`, cause);
      });
  }
  if (await hasSystemd(places)) await $({ stdio: 'inherit' })`systemctl daemon-reload`;
  const missing = `${config} does not exist yet: copy config/backup.env.example to it (mode 0600), and fill it in`;
  return [
    `installed ${units.map((unit) => join(target, unit)).join(' ')}`,
    ...((await fs.pathExists(config)) ? [] : [missing]),
    'then: systemctl enable --now btrfs-to-s3.timer',
  ];
}

/** A path as a word of a unit, whatever is in it: quoted, without escapes and specifiers (systemd.syntax(7), systemd.unit(5)). */
function asWord(path: string): string {
  return `"${path.replace(/[\\"]/g, '\\$&').replaceAll('%', '%%')}"`;
}

/** Removes the units, as far as they are there. A backup that runs just now is not stopped. */
export async function uninstallUnits(places: UnitPlaces): Promise<void> {
  const { target, directory } = directoriesOf(places);
  const toBeTold = await hasSystemd(places);
  if (toBeTold && (await fs.pathExists(join(target, 'btrfs-to-s3.timer')))) {
    await $({ stdio: 'inherit' })`systemctl disable --now btrfs-to-s3.timer`;
  }
  for (const unit of units) {
    const path = join(target, unit);
    await fs.rm(path, { force: true }).catch((cause: unknown) => {
      throw fileError(`cannot remove ${path}`, cause);
    });
  }
  // Directories of ours; those of the system stay.
  if (places.destdir && (await fs.pathExists(target))) {
    await $({ cwd: places.destdir })`rmdir -p --ignore-fail-on-non-empty ${directory.slice(1)}`;
  }
  if (toBeTold) await $({ stdio: 'inherit' })`systemctl daemon-reload`;
}

function directoriesOf({ prefix, destdir }: UnitPlaces) {
  const directory = `${prefix.replace(/\/$/, '')}/lib/systemd/system`;
  return { directory, target: destdir + directory };
}

/** True where a systemd runs that must reload. */
async function hasSystemd({ destdir }: UnitPlaces): Promise<boolean> {
  return !destdir && (await fs.pathExists('/run/systemd/system'));
}
