/**
 * How much memory this process may have: of the machine, and of the cgroups that it is in, nested in each other
 * (kernel: Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst). Node's constrainedMemory() looks at the innermost alone.
 */
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** So much memory, and whose it is: `this machine has`, `cgroup /a/b has`. */
export interface MemoryLimit {
  readonly bytes: number;
  readonly whose: string;
}

/**
 * The least of what is there; undefined where nothing shows it.
 * @param root where /proc and the cgroups are looked for
 */
export async function readMemoryLimit(root = '/'): Promise<MemoryLimit | undefined> {
  const limits = [...(await machineLimits(root)), ...(await cgroupLimits(root))];
  return limits.reduce<MemoryLimit | undefined>(
    (least, limit) => (least && least.bytes <= limit.bytes ? least : limit),
    undefined,
  );
}

/** All that the machine has, and what of it is free or can be freed; swap counts as free. */
async function machineLimits(root: string): Promise<readonly MemoryLimit[]> {
  const text = await read(join(root, 'proc/meminfo'));
  const bytesOf = (name: string) => {
    const [, kibibytes] = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text) ?? [];
    return kibibytes === undefined ? undefined : Number(kibibytes) * 1024;
  };
  const [total, available] = [bytesOf('MemTotal'), bytesOf('MemAvailable')];
  return [
    ...(total === undefined ? [] : [{ bytes: total, whose: 'this machine' }]),
    ...(available === undefined
      ? []
      : [{ bytes: available + (bytesOf('SwapFree') ?? 0), whose: 'this machine, beside other programs,' }]),
  ];
}

/** Where a hierarchy of cgroups that limits memory is mounted, and which of its files have limits. */
interface Hierarchy {
  readonly mountPoint: string;
  readonly mountRoot: string;
  readonly controllers: (name: string) => boolean;
  readonly files: readonly string[];
}

async function cgroupLimits(root: string): Promise<readonly MemoryLimit[]> {
  const cgroups = await read(join(root, 'proc/self/cgroup'));
  const limits: MemoryLimit[] = [];
  for (const { mountPoint, mountRoot, controllers, files } of hierarchiesIn(
    await read(join(root, 'proc/self/mountinfo')),
  )) {
    const line = cgroups.split('\n').find((each) => controllers(each.split(':')[1] ?? ''));
    const own = line?.split(':').slice(2).join(':');
    if (own === undefined) continue;
    // In a container the path may be the host's, of which only the end is mounted.
    const below = own === mountRoot || own.startsWith(`${mountRoot}/`) ? own.slice(mountRoot.length) : own;
    for (let at = join('/', below); ; at = dirname(at)) {
      for (const file of files) {
        const text = (await read(join(root, mountPoint, at, file))).trim();
        if (/^\d+$/.test(text)) limits.push({ bytes: Number(text), whose: `its cgroup ${at}` });
      }
      if (at === '/') break;
    }
  }
  return limits;
}

/** The hierarchies in a mountinfo(5): one of version 2, and one of version 1 for memory. */
function hierarchiesIn(mountinfo: string): readonly Hierarchy[] {
  return mountinfo.split('\n').flatMap((line): Hierarchy[] => {
    const [place = '', kind = ''] = line.split(' - ');
    const [, , , mountRoot = '/', mountPoint = '/'] = place.split(' ');
    const [type, , options = ''] = kind.split(' ');
    const where = { mountPoint, mountRoot: mountRoot === '/' ? '' : mountRoot };
    if (type === 'cgroup2') {
      // Above memory.high a process is not killed, but slowed down until it stands still.
      return [{ ...where, controllers: (names) => names === '', files: ['memory.max', 'memory.high'] }];
    }
    if (type !== 'cgroup' || !options.split(',').includes('memory')) return [];
    const controllers = (names: string) => names.split(',').includes('memory');
    return [{ ...where, controllers, files: ['memory.limit_in_bytes'] }];
  });
}

/** Empty where it cannot be read: that only means that nothing is known. */
async function read(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '');
}
