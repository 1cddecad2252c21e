/**
 * What a server may lack of S3, by name. Each name stands for one behaviour, so that a server that lacks a detail is still
 * held to everything beside it.
 */

/** Every name, and what it stands for. */
export const features = {
  archive: 'archive classes are read only after a restore',
  buckets: 'buckets are made, listed and removed',
  checksums: 'x-amz-checksum-* is verified, kept and told',
  'conditional-delete': 'a delete can depend on an ETag',
  'conditional-writes': 'If-Match and If-None-Match decide about writes',
  encryption: 'server-side encryption is taken and told',
  presigned: 'presigned URLs',
  'strict-signature': 'what a signature has to cover, and of which region it is',
  'strict-validation': 'odd requests are refused as S3 refuses them',
  trailers: 'aws-chunked bodies with their checksum behind them',
} as const;

/** A behaviour of S3 that a server may be known to lack; its tests are then skipped. */
export type Feature = keyof typeof features;

const isFeature = (name: string): name is Feature => Object.hasOwn(features, name);

/**
 * Reads a list such as `archive,checksums`; spaces around the names are allowed.
 * @throws when a name is unknown, with the known ones.
 */
export function parseFeatures(list: string): ReadonlySet<Feature> {
  const names = list
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  const unknown = names.filter((name) => !isFeature(name));
  if (unknown.length > 0) {
    const known = Object.keys(features).sort().join(', ');
    throw new Error(`S3_LACKS names what is no feature: ${unknown.join(', ')}; known are ${known}`);
  }
  return new Set(names.filter(isFeature));
}
