/** What the doctor looks at: settings, the role that they are for, and the host. */
import type { StageContext } from '../../context.ts';

/** What credentials and host are for; config/iam/ has a policy for each. */
export const roles = ['backup', 'restore', 'drill', 'verify', 'prune'] as const;

/** One of them. */
export type Role = (typeof roles)[number];

/** Handed to every check of the host. */
export interface Patient extends Pick<StageContext, 'settings' | 'now' | 'hostName' | 'hostId'> {
  readonly role: Role;
  /** The settings file, as an absolute path. */
  readonly config: string;
  /** Whether the upload rate is measured. */
  readonly measuresRate: boolean;
}

/** Roles that decode what is encrypted. */
export function readsPlainBytes(role: Role): boolean {
  return role === 'restore' || role === 'drill';
}

/** Roles that take, send or receive snapshots. */
export function touchesBtrfs(role: Role): boolean {
  return role === 'backup' || role === 'restore' || role === 'drill';
}

/** Roles whose policy in config/iam/ allows them to read what drills have found. */
export function readsDrills(role: Role): boolean {
  return role !== 'prune';
}
