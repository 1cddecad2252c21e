/**
 * A textual dump of a directory tree, exact to the bit, to compare two trees with assert.deepEqual. It shares no
 * code with the tool under test.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { type BigIntStats, constants } from 'node:fs';
import { open, readlink } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { joinBytes, nullSeparated, type TreeEntry, walkTree } from './walk-tree.ts';

/** Shows bytes as text, with everything but printable ASCII, and the backslash, as `\ooo`. */
function escapeBytes(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) =>
    byte >= 0x20 && byte < 0x7f && byte !== 0x5c
      ? String.fromCharCode(byte)
      : `\\${byte.toString(8).padStart(3, '0')}`,
  ).join('');
}

function typeOf(stat: BigIntStats): string {
  if (stat.isFile()) return 'file';
  if (stat.isDirectory()) return 'directory';
  if (stat.isSymbolicLink()) return 'symlink';
  if (stat.isFIFO()) return 'fifo';
  if (stat.isSocket()) return 'socket';
  return stat.isBlockDevice() ? 'block-device' : 'character-device';
}

async function hashContent(path: Buffer): Promise<string> {
  const hash = createHash('sha256');
  // O_NOATIME, so that looking at a tree does not change it.
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NOATIME);
  await pipeline(file.createReadStream(), hash);
  return hash.digest('hex');
}

/** getfattr escapes backslash, newline, carriage return (in paths) and `=` (in names) as `\ooo`. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_match, octal: string) => String.fromCharCode(parseInt(octal, 8)));
}

/** Values above 128 bytes show as their SHA-256, so that a difference still fits on a screen. */
function shortenValue(attribute: string): string {
  const [name = '', value = ''] = attribute.split('=0x');
  if (value.length <= 2 * 128) return attribute;
  return `${name}=sha256:${createHash('sha256').update(value, 'hex').digest('hex')}`;
}

/** The extended attributes of all entries as `name=0xhex`, by path; both are byte strings (latin1). */
async function readAttributes(
  directory: string,
  entries: readonly TreeEntry[],
): Promise<Map<string, string[]>> {
  const options = ['--null', 'getfattr', '--no-dereference', '--dump', '--match=-', '--encoding=hex', '--'];
  const child = spawn('xargs', options, { cwd: directory, stdio: ['pipe', 'pipe', 'inherit'] });
  const [dump, , [exitCode]] = await Promise.all([
    buffer(child.stdout),
    pipeline(Readable.from([nullSeparated(entries)]), child.stdin),
    once(child, 'close'),
  ]);
  if (exitCode !== 0) throw new Error(`getfattr failed in ${directory}, exit code ${exitCode}`);
  const attributes = new Map<string, string[]>();
  for (const block of dump.toString('latin1').split('\n\n')) {
    const [header = '', ...lines] = block.split('\n').filter((line) => line !== '');
    attributes.set(unescapeOctal(header.replace('# file: ', '')), lines.map(shortenValue).sort());
  }
  return attributes;
}

async function describe(directory: string, { path, stat }: TreeEntry): Promise<string[]> {
  const absolute = joinBytes(directory, path);
  const common = [
    typeOf(stat),
    `mode=${(stat.mode & 0o7777n).toString(8).padStart(4, '0')}`,
    `uid=${stat.uid}`,
    `gid=${stat.gid}`,
    `mtime=${stat.mtimeNs}ns`,
  ];
  // A directory's size and number of links are the filesystem's own affair.
  if (stat.isDirectory()) return common;
  common.push(`size=${stat.size}`, `nlink=${stat.nlink}`);
  if (stat.isFile()) common.push(`sha256=${await hashContent(absolute)}`);
  if (stat.isSymbolicLink()) {
    common.push(`target=${escapeBytes(await readlink(absolute, { encoding: 'buffer' }))}`);
  }
  if (stat.isBlockDevice() || stat.isCharacterDevice()) common.push(`device=${stat.rdev}`);
  return common;
}

/**
 * One line for each entry of `directory`, itself included as `.`, sorted by the bytes of the path: type, mode,
 * owner, mtime in nanoseconds and, where the type has it, size, number of links, SHA-256 of the content,
 * symlink target, device number, the first path of its hard link group, and every extended attribute (ACLs and
 * capabilities are among them). Bytes that are no printable ASCII show as `\ooo`. Throws where an entry cannot be
 * read, or changes meanwhile. What walkTree leaves out is left out.
 */
export async function treeDigest(directory: string): Promise<string[]> {
  const entries = await walkTree(directory);
  const attributes = await readAttributes(directory, entries);
  const firstPaths = new Map<bigint, string>();
  const lines: string[] = [];
  for (const entry of entries) {
    const { path, stat } = entry;
    const fields = await describe(directory, entry);
    if (!stat.isDirectory() && stat.nlink > 1n) {
      const firstPath = firstPaths.get(stat.ino) ?? escapeBytes(path);
      firstPaths.set(stat.ino, firstPath);
      fields.push(`linked-with=${firstPath}`);
    }
    lines.push([escapeBytes(path), ...fields, ...(attributes.get(path.toString('latin1')) ?? [])].join('  '));
  }
  return lines;
}
