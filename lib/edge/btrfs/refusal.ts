/**
 * Why the kernel does not let a subvolume be made, changed or deleted. EPERM and EROFS have several causes each, and btrfs-progs
 * names none of them: fs/btrfs/ioctl.c and inode.c (btrfs_delete_subvolume, may_destroy_subvol) do.
 */
import { readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ToolError } from '../../core/errors.ts';
import { parseSubvolumeShow } from '../../core/format/btrfs-output.ts';
import { unescapeOctal } from '../../core/format/mountinfo.ts';
import { formatCount } from '../../core/units.ts';
import { command } from '../process/child.ts';
import { letterOf, locksOn } from './attributes.ts';
import { mountOf } from './mounts/mounts.ts';

/** A cause in words, and what to do about it. */
interface Cause {
  readonly says: string;
  readonly hint: string;
}

/** @param path of the subvolume that was to be made, changed or deleted */
type Find = (path: string) => Promise<Cause | undefined>;

/** The error for a command of `btrfs` that failed on a subvolume: with the cause, where one can be found. */
export async function refusalOf(message: string, stderr: string, path: string): Promise<ToolError> {
  for (const find of findersFor(stderr)) {
    const cause = await find(path).catch(() => undefined);
    if (cause) return new ToolError(`${message}: ${cause.says}`, { hint: cause.hint, childOutput: stderr });
  }
  const hint = knownHint(stderr);
  return new ToolError(message, { ...(hint && { hint }), childOutput: stderr });
}

/** What to do about errors of the filesystem, by their words. */
const knownErrors: readonly (readonly [RegExp, string])[] = [
  [
    /No space left on device/,
    'make room on that filesystem: btrfs filesystem usage shows data and metadata apart',
  ],
  [/Disk quota exceeded/, 'raise the quota of that subvolume: btrfs qgroup show'],
  [
    /Read-only file system/,
    'mount it writable; after an error, which dmesg says, Btrfs makes itself read-only',
  ],
];

/** What to do about an error that the words of `btrfs` name; undefined where they do not. */
export function knownHint(stderr: string): string | undefined {
  return knownErrors.find(([words]) => words.test(stderr))?.[1];
}

function findersFor(stderr: string): readonly Find[] {
  if (stderr.includes('Read-only file system')) return [readOnlyMount, readOnlySubvolume];
  if (stderr.includes('Directory not empty')) return [nestedSubvolume];
  if (stderr.includes('not deleting default subvolume')) return [defaultSubvolume];
  if (!/Operation not permitted|Permission denied/.test(stderr)) return [];
  return [notRoot, defaultSubvolume, lockedSelf, lockedDirectory, swapFile, sendUnderWay];
}

/** Bit of CAP_SYS_ADMIN (linux/capability.h), without which root is not allowed either, as in a container. */
const sysAdmin = 1n << 21n;

const notRoot: Find = async () => {
  if (process.geteuid?.() !== 0) return { says: 'this user may not', hint: 'run as root' };
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(await readFile('/proc/self/status', 'latin1'))?.[1];
  if (effective === undefined || (BigInt(`0x${effective}`) & sysAdmin) !== 0n) return undefined;
  return { says: 'root lacks CAP_SYS_ADMIN here', hint: 'run it outside of the container, or give it that' };
};

const defaultSubvolume: Find = async (path) => {
  const shown = parseSubvolumeShow((await command`btrfs subvolume show -- ${path}`).stdout);
  const { stdout } = await command`btrfs subvolume get-default ${path}`;
  if (!shown || !stdout.startsWith(`ID ${shown.id} `)) return undefined;
  return {
    says: 'it is the default subvolume of its filesystem',
    hint: `make another one that, and run again: btrfs subvolume set-default 5 ${dirname(path)} names the top level`,
  };
};

const lockedSelf: Find = async (path) => {
  const [lock] = await locksOn(path);
  if (!lock) return undefined;
  return {
    says: `it is ${lock} (chattr +${letterOf(lock)})`,
    hint: `take that off: btrfs property set -ts ${path} ro false; chattr -${letterOf(lock)} ${path}`,
  };
};

const lockedDirectory: Find = async (path) => {
  const directory = dirname(path);
  const [lock] = await locksOn(directory);
  if (!lock) return undefined;
  return {
    says: `the directory ${directory} is ${lock} (chattr +${letterOf(lock)})`,
    hint: `take that off: chattr -${letterOf(lock)} ${directory}`,
  };
};

const swapFile: Find = async (path) => {
  const swaps = (await readFile('/proc/swaps', 'utf8'))
    .split('\n')
    .map((line) => unescapeOctal(line.split(/\s/)[0] ?? ''));
  const active = swaps.find((swap) => swap.startsWith(`${path}/`));
  return active === undefined
    ? undefined
    : { says: `${active} is an active swap file`, hint: `switch it off: swapoff ${active}` };
};

const sendUnderWay: Find = async (path) => {
  // Where nothing else is found, as btrfs-progs says too.
  const { stdout } = await command`pgrep -a -x btrfs`;
  const sender = stdout.split('\n').find((line) => / send /.test(line) && line.includes(path));
  return sender === undefined
    ? undefined
    : {
        says: `a btrfs send reads it (process ${sender.split(' ')[0]})`,
        hint: 'run again when that is over',
      };
};

const readOnlyMount: Find = async (path) => {
  const { target, options, filesystemOptions } = await mountOf(dirname(path));
  if (filesystemOptions.includes('ro')) {
    return {
      says: `the filesystem at ${target} is read-only`,
      hint: 'see with dmesg whether the kernel has made it so after an error; a seed device always is',
    };
  }
  return options.includes('ro')
    ? { says: `${target} is mounted read-only`, hint: `mount it writable: mount -o remount,rw ${target}` }
    : undefined;
};

const readOnlySubvolume: Find = async (path) => {
  let directory = dirname(path);
  // Inode number of every subvolume's root (linux/btrfs_tree.h, BTRFS_FIRST_FREE_OBJECTID).
  while (directory !== '/' && (await stat(directory)).ino !== 256) directory = dirname(directory);
  const { stdout } = await command`btrfs property get -t subvol -- ${directory} ro`;
  return stdout.includes('ro=true')
    ? {
        says: `it lies in the read-only subvolume ${directory}`,
        hint: `make that writable: btrfs property set -ts ${directory} ro false`,
      }
    : undefined;
};

const nestedSubvolume: Find = async (path) => {
  const { stdout } = await command`btrfs subvolume list -o ${path}`;
  const nested = stdout.split('\n').filter((line) => line !== '').length;
  return nested === 0
    ? undefined
    : {
        says: `${formatCount(nested, 'other subvolume')} ${nested === 1 ? 'lies' : 'lie'} in it`,
        hint: `move or delete them: btrfs subvolume list -o ${path}`,
      };
};
