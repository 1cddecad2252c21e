/** The AWS SDK's variables of a settings file, handed to the SDK's own lookup, which reads the environment. */

/** What belongs to a pair of keys, and makes another pair useless. */
const partsOfKeys = [
  'AWS_SESSION_TOKEN',
  'AWS_CREDENTIAL_EXPIRATION',
  'AWS_CREDENTIAL_SCOPE',
  'AWS_ACCOUNT_ID',
];

/**
 * Puts variables into the environment. The file wins as a whole: the SDK would take a profile that a shell has exported before the
 * keys of the file, and sign with them and the session token of others.
 * @returns a line for each thing that is set and is not used.
 */
export function handToSdk(
  aws: Readonly<Record<string, string>>,
  file: string,
  environment: NodeJS.ProcessEnv,
): readonly string[] {
  const notes: string[] = [];
  const profile = environment.AWS_PROFILE;
  if (aws.AWS_ACCESS_KEY_ID && aws.AWS_PROFILE) {
    notes.push(`the AWS keys in ${file} are not used: AWS_PROFILE stands there too; remove one of them`);
  } else if (aws.AWS_ACCESS_KEY_ID) {
    if (profile) notes.push(`AWS_PROFILE=${profile} of the environment is not used: ${file} has keys`);
    delete environment.AWS_PROFILE;
    for (const name of partsOfKeys) delete environment[name];
  }
  Object.assign(environment, aws);
  return notes;
}
