/** What `doctor.ts` is asked. */
import { ToolError } from '../../core/errors.ts';
import { type Role, roles } from '../../stage/watch/doctor/patient.ts';
import type { OptionValues } from './parse-options.ts';

/** Of `doctor.ts`. */
export const doctorOptions = {
  role: {
    type: 'string',
    value: 'ROLE',
    about: `what the credentials are for: ${roles.join(', ')} (default: backup)`,
  },
  rate: {
    type: 'boolean',
    about: 'also measure the upload rate, for 10 seconds, and say how long a full backup takes',
  },
} as const;

/** The role that is meant. @throws ToolError (usage) */
export function readRole({ role = 'backup' }: OptionValues<keyof typeof doctorOptions>): Role {
  const known = roles.find((each) => each === role);
  if (known) return known;
  throw new ToolError(`ROLE=${role} is not a role`, { kind: 'usage', hint: `use ${roles.join(', ')}` });
}
