/**
 * Differences between two directory trees, read from what `rsync --itemize-changes` prints. The format is in
 * rsync(1) under that option; names are printed with everything odd as `\#ooo`.
 */

/** The aspects, in the order in which they are reported. */
export const differenceAspects = [
  'missing',
  'extra',
  'type',
  'content',
  'size',
  'mtime',
  'mode',
  'owner',
  'group',
  'acl',
  'xattr',
  'link-target',
  'hard-link',
  'device',
] as const;

/** In what an entry of the restored tree differs. `type` includes a block device in place of a character device. */
export type DifferenceAspect = (typeof differenceAspects)[number];

/** One entry that differs. */
export interface TreeDifference {
  /** Relative to the tree, `.` being the tree itself, made fit for a terminal (see printablePath). */
  readonly path: string;
  /** The same path as the filesystem has it. */
  readonly pathBytes: Uint8Array;
  readonly aspects: readonly DifferenceAspect[];
}

/** What `--out-format` must be for parseItemizedLine: the mark distinguishes these lines from all others. */
export const itemizedFormat = '=%i %n';

/** The letters of `%i` after its two leading characters; `c` depends on the type of the entry. */
const aspectOfLetter: Readonly<Record<string, DifferenceAspect>> = {
  s: 'size',
  t: 'mtime',
  T: 'mtime',
  p: 'mode',
  o: 'owner',
  g: 'group',
  a: 'acl',
  x: 'xattr',
};
const aspectOfChecksum: Readonly<Record<string, DifferenceAspect>> = {
  f: 'content',
  L: 'link-target',
  D: 'device',
  S: 'type',
};

/** Bytes of a name as rsync prints it: one character is one byte, but for `\#` with three octal digits. */
function unescapeName(name: string): Uint8Array {
  const raw = name.replace(/\\#([0-7]{3})/g, (_match, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
  return Uint8Array.from(raw, (character) => character.charCodeAt(0));
}

/**
 * A path on one line of a terminal or log: UTF-8 as it is, control characters and bytes that are not UTF-8 as
 * `\xhh`, a backslash doubled.
 */
export function printablePath(bytes: Uint8Array): string {
  // Decoding byte by byte where the whole fails keeps every readable name readable and every other one exact.
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    text = Array.from(bytes, (byte) => (byte < 0x80 ? String.fromCharCode(byte) : `\0${byte}\0`)).join('');
  }
  const hex = (code: number): string => `\\x${code.toString(16).padStart(2, '0')}`;
  // A NUL cannot be part of a path, so it marks the bytes that were not UTF-8.
  return text
    .replaceAll('\\', '\\\\')
    .replace(/\0(\d+)\0/g, (_match, byte: string) => hex(Number(byte)))
    .replace(/\p{Cc}/gu, (character) => hex(character.charCodeAt(0)));
}

/** A difference of the entry with this path, given in bytes. */
export function treeDifference(pathBytes: Uint8Array, aspects: readonly DifferenceAspect[]): TreeDifference {
  return { path: printablePath(pathBytes), pathBytes, aspects };
}

/** The aspects of an itemized change such as `>fc.t......`; undefined when it is none that rsync(1) documents. */
function aspectsOf(change: string): readonly DifferenceAspect[] | undefined {
  if (change.trimEnd() === '*deleting') return ['extra'];
  const [, update = '', type = '', letters = ''] = /^([<>ch.])([fdLDS])(.{9})$/.exec(change) ?? [];
  if (letters === '') return undefined;
  if (/^\++$/.test(letters)) return ['missing'];
  const aspects: DifferenceAspect[] = update === 'h' ? ['hard-link'] : [];
  for (const letter of letters.replace(/[. ]/g, '')) {
    const aspect = letter === 'c' ? aspectOfChecksum[type] : aspectOfLetter[letter];
    if (aspect === undefined) return undefined;
    aspects.push(aspect);
  }
  // A file that would be transferred for no stated reason has content that rsync does not trust.
  if (aspects.length === 0 && (update === '>' || update === '<')) aspects.push('content');
  return aspects.length === 0 ? undefined : aspects;
}

/**
 * Reads one line of rsync's output, printed with itemizedFormat under LC_ALL=C and given as latin1; undefined for
 * lines without the mark, such as statistics.
 * @throws Error for a marked line of unknown form: what is not understood must not count as equal.
 */
export function parseItemizedLine(line: string): TreeDifference | undefined {
  if (!line.startsWith('=')) return undefined;
  const change = line.slice(1, 12);
  const aspects = aspectsOf(change);
  // rsync ends the names of directories in a slash.
  const name = line.slice(13).replace(/\/$/, '');
  if (aspects === undefined || name === '') throw new Error(`rsync reported an unknown change: ${line}`);
  return treeDifference(unescapeName(name), aspects);
}
