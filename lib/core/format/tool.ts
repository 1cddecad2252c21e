/** Who wrote a manifest. */
export const TOOL = { name: 'btrfs-to-s3', version: '0.1.0' } as const;
