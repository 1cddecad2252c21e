/** What a run needs of the machine: root, Node.js, kernel, btrfs-progs and the programs that are called. */
import { release } from 'node:os';
import { which } from 'zx';
import { isAtLeast, PROGS_FOR_PROTOCOL_2 } from '../../../../core/plan/receivable.ts';
import type { SettingValues } from '../../../../core/settings/settings.ts';
import { canSendCompressed, readProgsVersion } from '../../../../edge/btrfs/btrfs.ts';
import { childEnvironment } from '../../../../edge/process/child.ts';
import { demandRoot } from '../../../../edge/process/privileges.ts';
import { broken, type Check, doubtful, type Finding, fine, skipped } from '../check.ts';
import { type Role, touchesBtrfs } from '../patient.ts';

/** Called by runs of every kind, beside btrfs itself. */
const programs = ['findmnt', 'flock', 'lsattr', 'chattr', 'blkid'];
const programsOfRestores = ['rsync', 'mkfs.btrfs', 'mount', 'umount'];

const leastNodeMajor = 20;

/** The checks of the machine. @param compressedSend COMPRESSED_SEND; undefined where the settings cannot be read */
export function machineChecks(
  role: Role,
  compressedSend: SettingValues['COMPRESSED_SEND'] | undefined,
): readonly Check[] {
  return [
    { name: 'root', look: () => lookAtRoot(role) },
    { name: 'node', look: async () => [lookAtNode(process.versions.node)] },
    { name: 'btrfs', look: () => lookAtBtrfs(role, compressedSend) },
    { name: 'programs', look: () => lookForPrograms(role) },
  ];
}

async function lookAtRoot(role: Role): Promise<readonly Finding[]> {
  if (!touchesBtrfs(role)) return [skipped(`make ${role} needs no root`)];
  await demandRoot();
  return [fine('this process may take, send and receive snapshots')];
}

/** Judges a version of Node.js. */
export function lookAtNode(version: string): Finding {
  const major = Number(version.split('.')[0]);
  if (major >= leastNodeMajor) return fine(`Node.js ${version}`);
  return broken(
    `Node.js ${version} is too old`,
    `install Node.js ${leastNodeMajor} or newer; 24 is recommended`,
  );
}

async function lookAtBtrfs(
  role: Role,
  compressedSend: SettingValues['COMPRESSED_SEND'] | undefined,
): Promise<readonly Finding[]> {
  if (!touchesBtrfs(role)) return [skipped(`make ${role} does not call btrfs`)];
  const version = await readProgsVersion();
  if (version === undefined)
    return [broken('the command btrfs is not installed', 'make setup installs btrfs-progs')];
  const here = `kernel ${release()}, btrfs-progs ${version.join('.')}`;
  const needed = PROGS_FOR_PROTOCOL_2.join('.');
  if (role !== 'backup') {
    const receives = isAtLeast(version, PROGS_FOR_PROTOCOL_2);
    if (receives) return [fine(`${here}: receives compressed streams`)];
    return [
      doubtful(
        `${here}: backups that were sent compressed need btrfs-progs ${needed} to be received`,
        'update btrfs-progs before you need a restore here',
      ),
    ];
  }
  const canCompress = await canSendCompressed();
  if (canCompress || compressedSend !== 'true') {
    const how = canCompress && compressedSend !== 'false' ? 'sent as they are' : 'sent decompressed';
    return [fine(`${here}: compressed extents are ${how}`)];
  }
  return [
    broken(
      `${here}: COMPRESSED_SEND=true needs kernel 6.0 and btrfs-progs ${needed}`,
      'set COMPRESSED_SEND=auto, or update both',
    ),
  ];
}

async function lookForPrograms(role: Role): Promise<readonly Finding[]> {
  const isRestoring = role === 'restore' || role === 'drill';
  const needed = [...programs, ...(isRestoring ? programsOfRestores : [])];
  const path = childEnvironment().PATH ?? '';
  const found = await Promise.all(needed.map((name) => which(name, { nothrow: true, path })));
  const missing = needed.filter((_, index) => !found[index]);
  if (missing.length > 0) return [broken(`not installed: ${missing.join(', ')}`, 'make setup')];
  return [fine(`${needed.join(', ')} are installed`)];
}
