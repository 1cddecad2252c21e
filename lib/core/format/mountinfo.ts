/** What Linux says of mounts, in /proc/self/mountinfo (proc(5)). */

/** A mount. */
export interface Mount {
  /** Of this mount alone. */
  readonly id: number;
  readonly target: string;
  /** The directory of the filesystem that is seen there, from its top level: `/` for that itself. */
  readonly root: string;
  readonly type: string;
  /** What is mounted, such as `/dev/sda2`; what the filesystem calls itself where it has no device. */
  readonly source: string;
  /** Of this mount, such as `ro` and `noatime`. */
  readonly options: readonly string[];
  /** Of its filesystem, wherever it is mounted: a mount that may be written shows nothing but `ro` of one that may not. */
  readonly filesystemOptions: readonly string[];
  /** The same for all mounts of one filesystem. */
  readonly device: string;
}

/** Reads mounts; lines that are not understood are left out. */
export function parseMounts(text: string): readonly Mount[] {
  return text.split('\n').flatMap((line) => parseMount(line) ?? []);
}

function parseMount(line: string): Mount | undefined {
  // A varying number of fields is between the options and the dash.
  const [own, filesystem] = line.split(/ - (.*)/s);
  const [id = '', , device, root, target, options] = own?.split(' ') ?? [];
  const [type, source, filesystemOptions] = filesystem?.split(' ') ?? [];
  if (!/^\d+$/.test(id) || !device || !root || !target || !options || !type) return undefined;
  return {
    id: Number(id),
    target: unescapeOctal(target),
    root: unescapeOctal(root),
    type: unescapeOctal(type),
    source: unescapeOctal(source ?? ''),
    options: options.split(','),
    filesystemOptions: filesystemOptions?.split(',') ?? [],
    device,
  };
}

/** A path as Linux writes it into lists such as /proc/self/mountinfo and /proc/swaps, where blanks are `\040`. */
export function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
