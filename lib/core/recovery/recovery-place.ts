/** Where backups lie, as it has to be said to the `aws` command by those who have nothing else. */
export interface RecoveryPlace {
  readonly bucket: string;
  readonly prefix: string;
  readonly region: string;
  /** Address of the server; undefined for AWS. */
  readonly endpoint: string | undefined;
  /** The bucket's name stands in the path of an address, and not before the server's name. */
  readonly isPathStyle: boolean;
}

/**
 * The style of addresses that the `aws` command has to be configured for; undefined where it chooses the same: path for an endpoint,
 * virtual for AWS (botocore/args.py, `force_path_style`).
 */
export function addressingStyle({ endpoint, isPathStyle }: RecoveryPlace): 'path' | 'virtual' | undefined {
  if (isPathStyle === (endpoint !== undefined)) return undefined;
  return isPathStyle ? 'path' : 'virtual';
}
