/** The names of staging directories, by which what a stopped restore has left is found again. */

/** What they begin with; 16 hexadecimal digits follow, or, of earlier versions, six letters and digits. */
export const STAGING_PREFIX = '.btrfs-to-s3-restore-';

const stagingName = /^\.btrfs-to-s3-restore-(?:[0-9a-f]{16}|[A-Za-z0-9]{6})$/;

/** True for the name of a staging directory. */
export function isStagingName(name: string): boolean {
  return stagingName.test(name);
}
