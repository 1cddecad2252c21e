/** Which settings work with which provider. make doctor tries them. */
import type { SettingKey } from './keys.ts';

/** A provider to choose from. */
export interface ProviderPreset {
  readonly label: string;
  /** What its address is made from: asked for, with a default. Undefined where the address itself is. */
  readonly region: { readonly text: string; readonly preset?: string } | undefined;
  /** The address; undefined for AWS. */
  readonly endpoint?: (region: string) => string;
  /** What is set beside address and bucket. */
  readonly settings: Readonly<Partial<Record<SettingKey, string>>>;
}

const noArchive = { STORAGE_CLASS_CHUNKS: 'STANDARD' } as const;

/** By name. Addresses: the providers' own pages; what they refuse: testing/s3-server/habits/providers.ts has the sources. */
export const providerPresets = {
  aws: {
    label: 'AWS S3, in Glacier Deep Archive unless you choose another class',
    region: { text: 'Region of the bucket', preset: 'eu-central-1' },
    settings: {},
  },
  b2: {
    label: 'Backblaze B2',
    region: { text: 'Region, as in s3.REGION.backblazeb2.com', preset: 'us-west-004' },
    endpoint: (region) => `https://s3.${region}.backblazeb2.com`,
    settings: noArchive,
  },
  r2: {
    label: 'Cloudflare R2',
    region: { text: 'Account ID, as in ACCOUNT.r2.cloudflarestorage.com' },
    endpoint: (account) => `https://${account}.r2.cloudflarestorage.com`,
    settings: { ...noArchive, AWS_REGION: 'auto', SSE: 'none' },
  },
  wasabi: {
    label: 'Wasabi',
    region: { text: 'Region, as in s3.REGION.wasabisys.com', preset: 'eu-central-1' },
    endpoint: (region) => `https://s3.${region}.wasabisys.com`,
    settings: noArchive,
  },
  other: {
    label: 'MinIO, Ceph, Garage or another server of your own',
    region: undefined,
    settings: { ...noArchive, SSE: 'none' },
  },
} as const satisfies Record<string, ProviderPreset>;

/** The name of one of them. */
export type ProviderPresetName = keyof typeof providerPresets;

/** The provider that an address belongs to. @param endpoint undefined for AWS */
export function providerOf(endpoint: string | undefined): ProviderPresetName {
  if (endpoint === undefined) return 'aws';
  const host = URL.canParse(endpoint) ? new URL(endpoint).hostname : '';
  if (host.endsWith('.amazonaws.com')) return 'aws';
  if (host.endsWith('.backblazeb2.com')) return 'b2';
  if (host.endsWith('.r2.cloudflarestorage.com')) return 'r2';
  return host.endsWith('.wasabisys.com') ? 'wasabi' : 'other';
}

/** Whether an address wants the bucket in the host name: Alibaba's and Tencent's. */
export function wantsVirtualHosts(endpoint: string): boolean {
  return URL.canParse(endpoint) && /\.(aliyuncs|myqcloud)\.com$/.test(new URL(endpoint).hostname);
}
