/** Where the server is: by the settings, or by an AWS profile, under the same rules. */
import { getProfileName, loadSharedConfigFiles } from '@smithy/core/config';
import { ToolError } from '../../../core/errors.ts';
import { endpointProblems } from '../../../core/settings/endpoint.ts';
import type { SettingValues } from '../../../core/settings/settings.ts';

/** What an AWS profile may say of servers beside credentials and region. */
interface Profile {
  readonly name: string;
  /** The address of S3 alone, or of all services. */
  readonly endpoint: string | undefined;
  /** A file of certificates. */
  readonly caBundle: string | undefined;
}

/**
 * Reads the AWS profile that counts (https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html).
 * `ignore_configured_endpoint_urls` is heeded.
 */
export async function readProfile(): Promise<Profile> {
  const name = getProfileName({});
  const { configFile, credentialsFile } = await loadSharedConfigFiles({ ignoreCache: true });
  const profile = { ...credentialsFile[name], ...configFile[name] };
  const services = configFile[`services.${profile.services}`];
  const ignored = process.env.AWS_IGNORE_CONFIGURED_ENDPOINT_URLS ?? profile.ignore_configured_endpoint_urls;
  const endpoint = ignored === 'true' ? undefined : (services?.['s3.endpoint_url'] ?? profile.endpoint_url);
  return { name, endpoint: endpoint || undefined, caBundle: profile.ca_bundle || undefined };
}

/** The names of the AWS profiles of this user. */
export async function profileNames(): Promise<readonly string[]> {
  const { configFile, credentialsFile } = await loadSharedConfigFiles({ ignoreCache: true });
  // Sections of other kinds, such as `services.x`, are no profiles.
  const names = [...Object.keys(configFile), ...Object.keys(credentialsFile)].filter(
    (name) => !name.includes('.'),
  );
  return [...new Set(names)].sort();
}

/**
 * The address of the server; undefined for AWS itself.
 * @throws ToolError (usage) for an address in the profile that would be refused in the settings
 */
export function endpointOf(settings: SettingValues, profile: Profile): string | undefined {
  if (settings.AWS_ENDPOINT_URL_S3 !== undefined) return settings.AWS_ENDPOINT_URL_S3;
  const { name, endpoint } = profile;
  if (endpoint === undefined) return undefined;
  const [problem] =
    URL.canParse(endpoint) && /^https?:/.test(endpoint)
      ? endpointProblems(endpoint, settings.S3_ALLOW_HTTP)
      : ['is not an http:// or https:// address'];
  if (problem === undefined) return endpoint;
  throw new ToolError(`the endpoint_url of the AWS profile ${name} ${problem}`, {
    kind: 'usage',
    hint: 'mend the profile, or set AWS_ENDPOINT_URL_S3 in the settings file, which wins over it',
  });
}
