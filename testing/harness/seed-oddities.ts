/** The entries that backup tools get wrong: odd names, links, holes, attributes, modes, special files. */
import { chmod, chown, lchown, link, mkdir, open, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { which } from 'zx';
import type { DeterministicRandom } from './deterministic-random.ts';
import { shell } from './processes/shell.ts';
import { joinBytes } from './walk-tree.ts';

/** Names that are legal on Linux and break what splits lines, trusts a shell, a glob or UTF-8. */
const oddNames: readonly (string | Buffer)[] = [
  'with space',
  ' leading and trailing ',
  `it's "quoted"`,
  'line\nbreak\r\n',
  'tab\tand\u001b[31mescape',
  '-rf',
  '--delete',
  '#comment',
  '; semicolon',
  '$(touch owned)',
  '`id`',
  '*?[a-z]{1,2}',
  'back\\slash\\',
  '\\#012 and \\012',
  'arrow -> target',
  'a=b:c,d',
  'émoji-🦀-ﬁ',
  Buffer.from('not-utf8-\xe9\xff\x80', 'latin1'),
  Buffer.from('\xff*?\\[\xfe', 'latin1'),
  '...',
  '~',
  'n'.repeat(255),
];

/** Makes a file with exactly this mode, whatever the umask is. */
export async function createFile(
  path: string | Buffer,
  content: string | Buffer,
  mode = 0o644,
): Promise<void> {
  await writeFile(path, content, { flag: 'wx' });
  await chmod(path, mode);
}

/** Makes a directory, in a parent that exists, with exactly this mode, whatever the umask is. */
export async function createDirectory(path: string | Buffer, mode = 0o755): Promise<void> {
  await mkdir(path);
  await chmod(path, mode);
}

async function seedNames(directory: string): Promise<void> {
  await createDirectory(directory);
  for (const name of oddNames) {
    // One byte longer at the front, so cut to the 255 that a name may have.
    const inside = Buffer.concat([joinBytes(directory, 'd'), Buffer.from(name).subarray(0, 254)]);
    await createFile(joinBytes(directory, name), joinBytes('content of', name));
    await createDirectory(inside);
    await createFile(joinBytes(inside, name), '');
    await symlink(name, joinBytes(inside, 'link'));
  }
  let deep = directory;
  for (let level = 0; level < 40; level += 1) {
    deep = join(deep, `level-${level}`);
    await createDirectory(deep);
  }
  await createFile(join(deep, 'bottom'), 'bottom');
}

async function seedLinks(directory: string): Promise<void> {
  for (const part of ['', 'one', 'two']) await createDirectory(join(directory, part));
  await createFile(join(directory, 'one/original'), 'linked three times');
  await link(join(directory, 'one/original'), join(directory, 'two/other name'));
  await link(join(directory, 'one/original'), join(directory, 'again'));
  const targets = { relative: 'one/original', absolute: '/etc/hostname', dangling: 'nowhere', folder: 'two' };
  for (const [name, target] of Object.entries({ ...targets, retargeted: 'before', long: 'l/'.repeat(200) })) {
    await symlink(target, join(directory, name));
  }
  await link(join(directory, 'dangling'), join(directory, 'two/hard link to a symlink'));
}

async function seedLayouts(directory: string, random: DeterministicRandom): Promise<void> {
  await createDirectory(directory);
  await createDirectory(join(directory, 'empty-directory'));
  await createFile(join(directory, 'empty-file'), '');
  // Btrfs keeps files below 2 KiB inside its metadata (max_inline, btrfs(5)): at, below and above that border.
  for (const size of [1, 2047, 2048, 2049, 4096]) {
    await createFile(join(directory, `inline-${size}`), random.bytes(size));
  }
  await createFile(join(directory, 'sparse'), '');
  const sparse = await open(join(directory, 'sparse'), 'r+');
  await sparse.write(random.bytes(8192), 0, 8192, 256 * 1024);
  await sparse.write(random.bytes(5000), 0, 5000, 700 * 1024 + 13);
  await sparse.truncate(1024 * 1024 + 1);
  await sparse.close();
  await createFile(join(directory, 'all-hole'), '');
  await createFile(join(directory, 'preallocated'), random.bytes(10_000));
  await createFile(join(directory, 'preallocated-beyond-end'), random.bytes(10_000));
  await createFile(join(directory, 'reflink-source'), random.bytes(200_000));
  const run = shell({ cwd: directory });
  await run`truncate --size 3M all-hole
    fallocate --length 256KiB preallocated
    fallocate --keep-size --length 256KiB preallocated-beyond-end
    cp --reflink=always --preserve=mode reflink-source reflink-copy`;
}

async function seedMetadata(directory: string): Promise<void> {
  await createDirectory(directory);
  const modes = { plain: 0o644, setuid: 0o4755, setgid: 0o2755, unreadable: 0, 'all-bits': 0o7777 };
  for (const [name, mode] of Object.entries(modes)) await createFile(join(directory, name), name, mode);
  await createDirectory(join(directory, 'sticky'), 0o1777);
  await createDirectory(join(directory, 'shut'), 0);
  await createDirectory(join(directory, 'inherits'), 0o2770);
  for (const name of ['owned', 'attributes', 'removable', 'capable', 'acl']) {
    await createFile(join(directory, name), name);
  }
  await symlink('owned', join(directory, 'owned-link'));
  await chown(join(directory, 'owned'), 1234, 5678);
  await lchown(join(directory, 'owned-link'), 4_000_000_000, 65_534);

  const run = shell({ cwd: directory });
  await run`setfattr --name user.note --value ${'text with = and "quotes"'} attributes
    setfattr --name user.binary --value 0x00ff0a0d5c attributes
    setfattr --name user.empty attributes
    setfattr --name ${'user.odd = name'} --value 1 attributes
    setfattr --name user.large --value ${'v'.repeat(3000)} attributes
    setfattr --name trusted.note --value root-only attributes
    setfattr --name btrfs.compression --value zstd attributes
    setfattr --name user.seed --value 0 removable
    setfattr --name user.note --value ${'on a directory'} sticky
    setfattr --no-dereference --name trusted.note --value ${'on a symlink'} owned-link
    setfacl --modify u:1234:rwx,g:2345:r,m:rw acl
    setfacl --default --modify u:1234:rwx inherits`;
  if (await which('setcap', { nothrow: true })) await run`setcap cap_net_bind_service,cap_net_raw=ep capable`;
}

async function seedSpecialFiles(directory: string): Promise<void> {
  await createDirectory(directory);
  const run = shell({ cwd: directory });
  await run`mkfifo --mode=0640 fifo
    mknod --mode=0600 character-device c 240 17
    mknod --mode=0660 block-device b 241 300`;
}

/** Fills `directory` with one folder for each kind of oddity. Needs root, Btrfs, coreutils, attr and acl. */
export async function seedOddities(directory: string, random: DeterministicRandom): Promise<void> {
  await seedNames(join(directory, 'names'));
  await seedLinks(join(directory, 'links'));
  await seedLayouts(join(directory, 'layouts'), random);
  await seedMetadata(join(directory, 'metadata'));
  await seedSpecialFiles(join(directory, 'special'));
}
