/** Storage classes: where objects lie, and at what price. */

/** Of S3, by the name that requests give (https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-class-intro.html). */
export const storageClasses = [
  'STANDARD',
  'STANDARD_IA',
  'ONEZONE_IA',
  'INTELLIGENT_TIERING',
  'REDUCED_REDUNDANCY',
  'GLACIER_IR',
  'GLACIER',
  'DEEP_ARCHIVE',
] as const;

/** Those that can be read at any time, for what every command reads. */
export const manifestStorageClasses = [
  'STANDARD',
  'STANDARD_IA',
  'ONEZONE_IA',
  'INTELLIGENT_TIERING',
  'GLACIER_IR',
] as const;
