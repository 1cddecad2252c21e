/** `make pictures`: the pictures of README.md, from real commands in a terminal, on a loop device and a local S3 server. */
import { randomBytes } from 'node:crypto';
import { appendFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createLoopFilesystem } from '../harness/loop-filesystem.ts';
import { shell } from '../harness/processes/shell.ts';
import { startInTerminal } from '../harness/processes/terminal.ts';
import { repositoryRoot } from '../harness/test-directory.ts';
import { createWorkspace, sweepDeadWorkspaces } from '../harness/workspace.ts';
import { startS3Server } from '../s3-server/server.ts';
import { dark, drawTerminal, light } from './terminal-svg.ts';

const mib = 2 ** 20;
const size = { columns: 92, rows: 40 };
const secret = 'pictures-secret';

await sweepDeadWorkspaces('pictures');
const workspace = await createWorkspace('pictures');
const filesystem = await createLoopFilesystem({ name: 'pictures', sizeBytes: 1024 * mib });
const server = await startS3Server({
  directory: join(workspace.directory, 's3'),
  accessKeyId: 'pictures',
  secretAccessKey: secret,
  buckets: ['my-backups'],
});
try {
  const { mountPoint } = filesystem;
  for (const name of ['data', 'home']) await shell`btrfs subvolume create ${join(mountPoint, name)}`;
  await mkdir(join(mountPoint, '.snapshots'), { mode: 0o700 });
  await writeFile(join(mountPoint, 'data/photos'), randomBytes(160 * mib));
  await writeFile(join(mountPoint, 'home/mail'), randomBytes(48 * mib));
  const config = join(workspace.directory, 'backup.env');
  await writeFile(
    config,
    [
      'SUBVOLUMES=/mnt/data,/mnt/home',
      'SNAPSHOT_DIR=/mnt/.snapshots',
      'S3_BUCKET=my-backups',
      'S3_PREFIX=home-server',
      'AWS_REGION=us-east-1',
      `AWS_ENDPOINT_URL_S3=${server.endpoint}`,
      'AWS_ACCESS_KEY_ID=pictures',
      `AWS_SECRET_ACCESS_KEY=${secret}`,
      'LOG_LEVEL=warn',
      `RUN_DIR=${join(workspace.directory, 'run')}`,
      '',
    ].join('\n'),
    { mode: 0o600 },
  );
  // Mounted at /mnt for these commands alone, so that paths are as short as at home.
  const inPlace = `exec unshare --mount --propagation private bash -c`;
  const script = (commands: readonly string[]) =>
    `${inPlace} 'mount --bind ${mountPoint} /mnt; ${commands.map((command) => `printf "\\033[1m$ ${command}\\033[0m\\n"; ${command}`).join('; echo; ')}'`;
  const environment = { ...workspace.mark, CONFIG: config, AWS_EC2_METADATA_DISABLED: 'true' };
  const run = async (...commands: readonly string[]) => {
    const terminal = startInTerminal(script(commands), size, environment);
    if ((await terminal.ended) !== 0) throw new Error((await terminal.lines()).join('\n'));
    await terminal.lines();
    return terminal.emulator;
  };
  await run('make backup');
  await appendFile(join(mountPoint, 'data/photos'), randomBytes(24 * mib));
  await appendFile(join(mountPoint, 'home/mail'), randomBytes(3 * mib));
  const screen = await run('make backup', 'make list');
  const title = 'make backup and make list in a terminal';
  const folder = join(repositoryRoot, 'docs/images');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'at-work-light.svg'), drawTerminal(screen, title, light));
  await writeFile(join(folder, 'at-work-dark.svg'), drawTerminal(screen, title, dark));
} finally {
  await server.stop();
  await filesystem.remove();
  await workspace.remove();
}
