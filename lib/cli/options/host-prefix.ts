/** The option HOST_PREFIX of `list.ts`: what the S3_PREFIX of several hosts have in common. */
import { ToolError } from '../../core/errors.ts';
import { resolveSettings } from '../../core/settings/settings.ts';

/**
 * Checks HOST_PREFIX by the rules of S3_PREFIX; a trailing `/` is dropped.
 * @returns the prefix without it, empty for `/`, which is the whole bucket; undefined where the option is not given.
 * @throws ToolError (usage)
 */
export function readHostPrefix(given: string | undefined): string | undefined {
  if (given === undefined || given === '/') return given && '';
  const prefix = given.replace(/\/$/, '');
  const line = { key: 'S3_PREFIX', value: prefix, line: 0 };
  const [problem] = resolveSettings([line]).problems.filter(({ key }) => key === line.key);
  if (problem === undefined) return prefix;
  const reason = prefix === '' ? 'is empty' : problem.reason;
  throw new ToolError(`HOST_PREFIX ${reason}`, {
    kind: 'usage',
    hint: 'give what the S3_PREFIX of the hosts begin with, up to a /, such as fleet; / is the whole bucket',
  });
}
