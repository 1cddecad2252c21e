/** The environment that the harness gives to what it starts: nothing of the person who started it but the bare necessities. */

const inherited = ['PATH', 'HOME', 'LANG', 'LC_ALL', 'LC_CTYPE', 'TZ', 'TMPDIR'] as const;

/**
 * Variables such as TARGET or AWS_PROFILE, or the flags of a `make` that runs around, must not reach the commands of a test;
 * neither must the AWS settings of the person, nor the address at which cloud machines keep credentials.
 */
export function plainEnvironment(more: Readonly<Record<string, string>>): Record<string, string> {
  const kept = inherited.flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value]];
  });
  return {
    ...Object.fromEntries(kept),
    AWS_CONFIG_FILE: '/dev/null',
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    AWS_EC2_METADATA_DISABLED: 'true',
    ...more,
  };
}
