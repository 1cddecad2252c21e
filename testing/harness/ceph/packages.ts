/** Is Ceph here at all? Its programs come from four Debian packages. */
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { join } from 'node:path';

const programs = [
  'ceph',
  'ceph-mon',
  'ceph-osd',
  'monmaptool',
  'radosgw',
  'radosgw-admin',
  'setpriv',
] as const;

/** @throws one line that names what is missing and how to get it. */
export async function requireCeph(path: string): Promise<void> {
  const found = await Promise.all(programs.map((program) => isIn(path, program)));
  const missing = programs.filter((_, index) => found[index] !== true);
  if (missing.length === 0) return;
  throw new Error(
    `Ceph is not installed (no ${missing.join(', ')}): scripts/setup.sh --ceph installs it, or as root: ` +
      'apt-get install --no-install-recommends radosgw ceph-mon ceph-osd ceph-common',
  );
}

async function isIn(path: string, program: string): Promise<boolean> {
  const tries = path.split(':').map((folder) => access(join(folder, program), constants.X_OK));
  return (await Promise.allSettled(tries)).some((each) => each.status === 'fulfilled');
}
