/** The systemd units of config/systemd/: filled in for a checkout, installed, removed. The running systemd reloads, except with a DESTDIR. */
import { dirname, join, resolve } from 'node:path';
import { $, fs, which } from 'zx';
import { ToolError } from '../../core/errors.ts';
import { configIn, isSameFile } from '../process/systemd-state.ts';
import { codeOf, fileError } from './files.ts';

/** A unit, and the file of config/systemd/ that it is made from. */
interface Unit {
  readonly name: string;
  readonly from: string;
  /** For a settings file of its own for each instance: /etc/btrfs-to-s3/INSTANCE.env. */
  readonly isTemplate?: true;
}

const units: readonly Unit[] = [
  { name: 'btrfs-to-s3.service', from: 'btrfs-to-s3.service' },
  { name: 'btrfs-to-s3.timer', from: 'btrfs-to-s3.timer' },
  { name: 'btrfs-to-s3@.service', from: 'btrfs-to-s3.service', isTemplate: true },
  { name: 'btrfs-to-s3@.timer', from: 'btrfs-to-s3.timer', isTemplate: true },
  { name: 'btrfs-to-s3-verify.service', from: 'btrfs-to-s3-verify.service' },
  { name: 'btrfs-to-s3-verify.timer', from: 'btrfs-to-s3-verify.timer' },
];

/** Only where PRUNE_EVERY is set. */
const pruneUnits: readonly Unit[] = [
  { name: 'btrfs-to-s3-prune.service', from: 'btrfs-to-s3-prune.service' },
  { name: 'btrfs-to-s3-prune.timer', from: 'btrfs-to-s3-prune.timer' },
];

const instanceConfig = '/etc/btrfs-to-s3/%i.env';
const timers = ['btrfs-to-s3.timer', 'btrfs-to-s3-verify.timer', 'btrfs-to-s3-prune.timer'];

/** Where units go: below `destdir`, which is for packages and may be empty, and `prefix`. Both are absolute paths. */
export interface UnitPlaces {
  readonly prefix: string;
  readonly destdir: string;
}

/** What the settings and the program add. */
export interface UnitContents {
  /** Paths whose mounts must be there before the service starts. */
  readonly needed: readonly string[];
  /** True where PRUNE_EVERY is set. */
  readonly prunes: boolean;
  /** Text of btrfs-to-s3(1). */
  readonly manual: string;
}

/**
 * Installs the units and the manual page, readable by all.
 * @returns the report, line by line.
 * @throws ToolError of the kind `usage`, before anything is written, for a path that cannot stand in a unit, and where the units
 * that are installed are of another settings file.
 */
export async function installUnits(
  checkout: string,
  configFile: string,
  places: UnitPlaces,
  { needed, prunes, manual }: UnitContents,
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
  await refuseOtherConfig(config, places);
  const { target, manualPath } = directoriesOf(places);
  const wanted = prunes ? [...units, ...pruneUnits] : units;
  for (const { name, from, isTemplate } of wanted) {
    const source = await fs.readFile(join(checkout, 'config/systemd', from), 'utf8');
    await writeForAll(
      join(target, name),
      fillIn(source, isTemplate ? { ...values, CONFIG: instanceConfig } : values, isTemplate ? [] : needed),
    );
  }
  // PRUNE_EVERY may have been set when this was installed before.
  if (!prunes) await removeUnits(places, pruneUnits);
  await writeForAll(manualPath, manual);
  if (await hasSystemd(places)) await $({ stdio: 'inherit' })`systemctl daemon-reload`;
  const missing = `${config} does not exist yet: copy config/backup.env.example to it (mode 0600), and fill it in`;
  const named = timers.filter((timer) => wanted.some(({ name }) => name === timer));
  return [
    `installed ${wanted.map(({ name }) => join(target, name)).join(' ')} ${manualPath}`,
    ...((await fs.pathExists(config)) ? [] : [missing]),
    `then: systemctl enable --now ${named.join(' ')}`,
  ];
}

/** A second `make install-systemd`, without its CONFIG, would silently back up what another file says from then on. */
async function refuseOtherConfig(config: string, places: UnitPlaces): Promise<void> {
  const path = join(directoriesOf(places).target, 'btrfs-to-s3.service');
  const unit = await fs.readFile(path, 'utf8').catch((cause: unknown) => {
    if (['ENOENT', 'ENOTDIR'].includes(codeOf(cause))) return '';
    throw fileError(`cannot read ${path}`, cause);
  });
  const installed = configIn(unit);
  if (installed === undefined || (await isSameFile(installed, config))) return;
  const { prefix, destdir } = places;
  const where = `${prefix === '/usr/local' ? '' : ` PREFIX=${prefix}`}${destdir ? ` DESTDIR=${destdir}` : ''}`;
  const install = `make install-systemd${where} CONFIG=`;
  throw new ToolError(`the units that are installed use ${installed}, not ${config}`, {
    kind: 'usage',
    hint: `${install}${installed} installs them again; to change the file: make uninstall-systemd${where}, then ${install}${config}`,
  });
}

/** Without paths there is no line for them: an empty one would take back those before it. */
function fillIn(text: string, values: Readonly<Record<string, string>>, needed: readonly string[]): string {
  let filled = needed.length > 0 ? text : text.replace(/^#[^\n]*\nRequiresMountsFor=@NEEDED@\n/m, '');
  for (const [name, value] of Object.entries(values)) filled = filled.replaceAll(`@${name}@`, value);
  return filled.replaceAll('@NEEDED@', needed.map(asWord).join(' '));
}

async function writeForAll(path: string, text: string): Promise<void> {
  await fs
    .outputFile(path, text)
    .then(() => fs.chmod(path, 0o644))
    .catch((cause: unknown) => {
      throw fileError(`cannot write ${path}`, cause);
    });
}

/** A path as a word of a unit, whatever is in it: quoted, without escapes and specifiers (systemd.syntax(7), systemd.unit(5)). */
function asWord(path: string): string {
  return `"${path.replace(/[\\"]/g, '\\$&').replaceAll('%', '%%')}"`;
}

/** Removes the units and the manual page, as far as they are there. A backup that runs just now is not stopped. */
export async function uninstallUnits(places: UnitPlaces): Promise<void> {
  const { manualPath, directory, manualDirectory } = directoriesOf(places);
  await removeUnits(places, [...units, ...pruneUnits]);
  await removeFile(manualPath);
  // Directories of ours; those of the system stay.
  for (const each of places.destdir ? [directory, manualDirectory] : []) {
    if (!(await fs.pathExists(places.destdir + each))) continue;
    await $({ cwd: places.destdir })`rmdir -p --ignore-fail-on-non-empty ${each.slice(1)}`;
  }
  if (await hasSystemd(places)) await $({ stdio: 'inherit' })`systemctl daemon-reload`;
}

async function removeUnits(places: UnitPlaces, removed: readonly Unit[]): Promise<void> {
  const { target } = directoriesOf(places);
  const isRunning = await hasSystemd(places);
  for (const { name, isTemplate } of removed) {
    const path = join(target, name);
    if (!(await fs.pathExists(path))) continue;
    if (isRunning && name.endsWith('.timer')) {
      const instances = isTemplate ? name.replace('@.', '@*.') : name;
      await $({ stdio: 'inherit', nothrow: true })`systemctl disable --now ${instances}`;
    }
    await removeFile(path);
  }
}

async function removeFile(path: string): Promise<void> {
  await fs.rm(path, { force: true }).catch((cause: unknown) => {
    throw fileError(`cannot remove ${path}`, cause);
  });
}

function directoriesOf({ prefix, destdir }: UnitPlaces) {
  const base = prefix.replace(/\/$/, '');
  const directory = `${base}/lib/systemd/system`;
  const manualDirectory = `${base}/share/man/man1`;
  return {
    directory,
    target: destdir + directory,
    manualDirectory,
    manualPath: `${destdir}${manualDirectory}/btrfs-to-s3.1`,
  };
}

/** True where a systemd runs that must reload. */
async function hasSystemd({ destdir }: UnitPlaces): Promise<boolean> {
  return !destdir && (await fs.pathExists('/run/systemd/system'));
}
