/** Which filesystem a path is on, and which is attached, where device nodes are missing, as in a service with PrivateDevices=. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { test } from 'node:test';
import { findUnmounted, readFilesystemUuid } from '../../../lib/edge/btrfs/host-identity.ts';
import { shell } from '../../../testing/harness/processes/shell.ts';
import { repositoryRoot, testDirectory } from '../../../testing/harness/test-directory.ts';
import { cleanUpAfter } from '../../end-to-end/world.ts';
import { unmount } from '../../support/unmount-everywhere.ts';

/** A filesystem on a loop device that is not mounted, and a directory for the test. */
async function attached(cleanUp: ReturnType<typeof cleanUpAfter>) {
  const directory = await mkdtemp(join(testDirectory(), 'host-identity-'));
  cleanUp(() => rm(directory, { recursive: true }));
  const image = join(directory, 'image');
  await shell`truncate -s 128M ${image} && mkfs.btrfs -q -K -L ${' uuid: 1'} ${image}`;
  const device = (await shell`losetup --find --show ${image}`).stdout.trim();
  cleanUp(() => shell`losetup -d ${device}`);
  const uuid = (await shell`blkid -p -s UUID -o value ${device}`).stdout.trim();
  const number = (await readFile(`/sys/class/block/${basename(device)}/dev`, 'utf8')).trim();
  return { directory, image, device, uuid, number };
}

test('the filesystem of a mapped device is known without its node', async (t) => {
  const cleanUp = cleanUpAfter(t);
  const { directory, uuid, number } = await attached(cleanUp);
  const [node, mount] = [join(directory, 'mapped'), join(directory, 'mount')];
  await mkdir(mount);
  await shell`mknod ${node} b ${number.split(':')}`;
  await shell`mount -t btrfs ${node} ${mount}`;
  cleanUp(() => unmount(mount));
  assert.equal((await shell`findmnt -n -o SOURCE ${mount}`).stdout.trim(), node);
  await rm(node);
  assert.equal(await readFilesystemUuid(mount), uuid);
});

test('a filesystem that is attached and not mounted is found without device nodes, by what udev recorded', async (t) => {
  const { device, uuid, number } = await attached(cleanUpAfter(t));
  const module = resolve(repositoryRoot, 'lib/edge/btrfs/host-identity.ts');
  const program = `import(${JSON.stringify(module)}).then(async (it) => console.log(await it.findUnmounted('${uuid}')))`;
  const hide = [
    'mount -t tmpfs tmpfs /dev && mknod -m 666 /dev/null c 1 3',
    'mount -t tmpfs tmpfs /run && mkdir -p /run/udev/data && touch /run/udev/control',
    'if [ "$3" = known ]; then printf "I:1\\nE:ID_FS_UUID=$1\\nE:ID_FS_UUID_ENC=$1\\n" > "/run/udev/data/b$2"; fi',
    'exec node --import tsx -e "$4"',
  ].join('\n');
  const found = async (udev: string) => {
    const arguments_ = ['-', uuid, number, udev, program];
    return (await shell`cd ${repositoryRoot} && unshare --mount bash -euc ${hide} ${arguments_}`).stdout;
  };
  assert.deepEqual(await Promise.all([found('known'), found('unknown')]), [`${device}\n`, 'undefined\n']);
});

test('a filesystem is found on a device that had another one a moment ago', async (t) => {
  const { image, device, uuid } = await attached(cleanUpAfter(t));
  assert.equal((await shell`blkid -o value -s UUID ${device}`).stdout.trim(), uuid);
  await shell`mkfs.btrfs -q -K -f ${image} && blockdev --flushbufs ${device}`;
  const another = (await shell`blkid -p -s UUID -o value ${device}`).stdout.trim();
  assert.notEqual(another, uuid);
  assert.equal(await findUnmounted(another), device);
});
