/**
 * Every setting: its key, its default and what it means. The documents and `--help` are made from this table; which values are
 * good, `key-rules.ts` says.
 */
import { storageClasses } from '../thaw/storage-classes.ts';
import { limitNotes, watchNotes } from './watch-keys.ts';

/** What people read about a key. */
export interface SettingNotes {
  readonly section: string;
  readonly about: string;
  /** The default, as it would stand in the file. Without one the value is undefined; who needs it checks there. */
  readonly preset?: string;
  /** What stands in an example file where there is no default. */
  readonly example?: string;
}

const what = 'What to back up';
const where = 'Where to';
const how = 'How the stream is cut and stored';
const keep = 'How often, and what is kept';
const back = 'Restore';
const run = 'Running and reporting';

/** By key, in the order of the documents. */
export const settingNotes = {
  SUBVOLUMES: {
    section: what,
    about:
      'comma-separated paths of Btrfs subvolumes, or name=/path; the name (default: the last part of the path) is the folder in the bucket. name=snapshots:/glob takes existing read-only snapshots, such as name=snapshots:/home/.snapshots/*/snapshot, and makes none',
    example: '/data,home=/srv/home',
  },
  SNAPSHOT_DIR: {
    section: what,
    about:
      'directory for the read-only snapshots, on the same Btrfs filesystem as every subvolume; not needed if SUBVOLUMES names only snapshots: of other programs',
    example: '/data/.snapshots',
  },
  IGNORE_NESTED: {
    section: what,
    preset: '',
    about:
      'comma-separated globs, such as /var/lib/docker: no warning that backups leave out nested subvolumes and mounts which match or lie below a match; * stays within a directory, ** does not',
  },
  S3_BUCKET: { section: where, about: 'the bucket', example: 'my-backups' },
  S3_PREFIX: {
    section: where,
    about:
      'what every key begins with; default: the host name, unless many machines have the same, such as localhost or debian',
    example: 'home-server',
  },
  AWS_REGION: {
    section: where,
    about: 'region of the bucket; may come from the environment or an AWS profile instead',
    example: 'eu-central-1',
  },
  AWS_ENDPOINT_URL_S3: {
    section: where,
    about: 'address of an S3-compatible server; default: AWS, or endpoint_url of the AWS profile',
    example: 'https://s3.example.net',
  },
  S3_ALLOW_HTTP: {
    section: where,
    preset: 'false',
    about: 'true allows an http: endpoint that is not on this machine',
  },
  S3_ADDRESSING: {
    section: where,
    preset: 'auto',
    about:
      'where requests name the bucket: path, virtual (in the host name, which OSS and COS want), or auto: virtual for AWS, path for another endpoint',
  },
  S3_CHECKSUMS: {
    section: where,
    preset: 'auto',
    about:
      'how the server checks uploaded bytes: sha256 (checksum headers), md5 (Content-MD5 alone, which B2 and R2 want), or auto: sha256, and md5 where the server refuses its headers',
  },
  HTTPS_PROXY: {
    section: where,
    about: 'proxy for https: servers; may come from the environment',
    example: 'http://proxy.example.net:3128',
  },
  NO_PROXY: {
    section: where,
    about:
      'comma-separated hosts, domains and networks to reach without the proxy; may come from the environment',
    example: 'localhost,.example.net,10.0.0.0/8',
  },
  AWS_CA_BUNDLE: {
    section: where,
    about:
      'PEM file of certificates to trust instead of the usual ones; may come from the environment, or be ca_bundle of the AWS profile',
    example: '/etc/ssl/certs/my-ca.pem',
  },
  CHUNK_SIZE: {
    section: how,
    preset: '200GiB',
    about:
      'largest object, 5 MiB … 48.8 TiB (5 TiB where the server is not that of AWS); each chunk can be verified and recovered alone',
  },
  PART_SIZE: {
    section: how,
    preset: 'auto',
    about:
      'bytes per request, 5 MiB … 5 GiB; auto: 32 MiB, or what keeps a chunk within 10,000 parts. Memory is (CONCURRENCY + 1) parts plus 120 MiB, with COMPRESS or ENCRYPT_TO twice the parts',
  },
  CONCURRENCY: {
    section: how,
    preset: '4',
    about:
      'parts in flight, 1 … 64; with COMPRESS or ENCRYPT_TO also frames encoded at once, at most one per processor',
  },
  RETRY_FOR: {
    section: how,
    preset: '30m',
    about:
      'how long to repeat a failing request before the run gives up; it keeps what is uploaded or received, and the next run resumes. A backup waits as long for a server that has not answered yet, as after waking up; other commands wait a minute at most',
  },
  ...limitNotes,
  STORAGE_CLASS_CHUNKS: {
    section: how,
    preset: 'DEEP_ARCHIVE',
    about: `storage class of chunks: ${storageClasses.join(', ')}`,
  },
  STORAGE_CLASS_MANIFEST: {
    section: how,
    preset: 'STANDARD',
    about: 'storage class of manifests and pointers; archive classes are refused, they must stay readable',
  },
  SSE: { section: how, preset: 'AES256', about: 'server-side encryption: AES256, aws:kms, none' },
  SSE_KMS_KEY_ID: { section: how, about: 'KMS key for SSE=aws:kms', example: 'alias/backup' },
  COMPRESSED_SEND: {
    section: how,
    preset: 'auto',
    about:
      'send compressed extents as they are on disk (btrfs send --proto 2 --compressed-data); auto: where kernel and btrfs-progs can',
  },
  COMPRESS: {
    section: how,
    preset: 'none',
    about:
      'compress the stream before it is stored: none, zstd (level 3), zstd:1 … zstd:19. COMPRESSED_SEND sends what Btrfs has compressed as it is',
  },
  ENCRYPT_TO: {
    section: how,
    preset: '',
    about:
      'encrypt to these: comma-separated public keys (age1…, ssh-ed25519 …, ssh-rsa …), or the path of a file with one a line. This host needs no secret key; see docs/encryption.md',
  },
  SIGN_WITH: {
    section: how,
    preset: '',
    about:
      'secret SSH key, without a passphrase, that signs each manifest (ssh-keygen -Y sign, namespace btrfs-to-s3), and so all that it names; see docs/encryption.md',
  },
  FULL_EVERY: {
    section: keep,
    preset: '180d',
    about: 'with IF_DUE=1: age of the last full backup at which the next is due',
  },
  INCREMENTAL_EVERY: {
    section: keep,
    preset: '7d',
    about: 'with IF_DUE=1: age of the last backup, of either kind, at which an incremental one is due',
  },
  KEEP_SNAPSHOTS: {
    section: keep,
    preset: '2',
    about: 'local read-only snapshots kept per subvolume, always including the next parent',
  },
  KEEP_GENERATIONS: {
    section: keep,
    preset: '2',
    about: 'full backups, with the chains on them, that make prune keeps per subvolume',
  },
  DRILL: {
    section: keep,
    preset: 'off',
    about:
      'with make drill IF_DUE=1: off, monthly, weekly; a drill fetches a whole chain, which a provider may charge for',
  },
  DECRYPT_WITH: {
    section: back,
    preset: '',
    about:
      'identity file of age, or secret SSH key (mode 0600), for what reads encrypted backups: restore, extract, drill and verify DEEP=1. A backup does not need it',
  },
  VERIFY_SIGNERS: {
    section: back,
    preset: '',
    about:
      'allowed_signers file (ssh-keygen(1)): restore, thaw, verify, extract and drill then take only manifests that a signer in it has signed',
  },
  RESTORE_TIER: {
    section: back,
    preset: 'Standard',
    about:
      'how fast archived chunks are thawed, from cheap to dear: Bulk, Standard, and Expedited, which DEEP_ARCHIVE does not have',
  },
  RESTORE_DAYS: {
    section: back,
    preset: '7',
    about: 'days that thawed copies stay at least; a restore requests more if the transfer needs them',
  },
  RESTORE_RATE: {
    section: back,
    preset: '10MiB',
    about: 'expected download rate, in bytes per second; it decides how long thawed copies have to stay',
  },
  RESTORE_TIMEOUT: {
    section: back,
    preset: '72h',
    about: 'how long a restore waits for a thaw before it exits 5',
  },
  SPOOL_DIR: {
    section: back,
    preset: '',
    about:
      'directory on any filesystem. A restore keeps the parts of its current stream there, and fetches none of them twice after a stop (default: it fetches them again). make extract and make drill put their scratch image there, which may grow to the size of the whole chain (default: TMPDIR of the environment, else /var/tmp)',
    example: '/var/tmp/btrfs-to-s3',
  },
  VERIFY_MODE: {
    section: back,
    preset: 'full',
    about: 'what to compare after a restore: full (every byte), sample, none',
  },
  VERIFY_SAMPLE_FILES: {
    section: back,
    preset: '1000',
    about: 'files whose content VERIFY_MODE=sample reads',
  },
  RUN_DIR: {
    section: run,
    preset: '/var/lib/btrfs-to-s3',
    about: 'work in progress; when it is lost, an unfinished upload begins again',
  },
  LOG_FORMAT: { section: run, preset: 'auto', about: 'auto: pretty on a terminal, JSON lines otherwise' },
  LOG_LEVEL: { section: run, preset: 'info', about: 'error, warn, info, debug' },
  ...watchNotes,
} as const satisfies Record<string, SettingNotes>;

export type SettingKey = keyof typeof settingNotes;

/** All keys, in the order of the documents. */
export const settingKeys = Object.keys(settingNotes) as readonly SettingKey[];

/** What people read about a key. */
export function notesOf(key: SettingKey): SettingNotes {
  return settingNotes[key];
}

/**
 * Variables of the AWS SDK that may stand in the file beside our own keys
 * (https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html).
 */
export const awsVariables = [
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
  'AWS_PROFILE',
  'AWS_CONFIG_FILE',
  'AWS_SHARED_CREDENTIALS_FILE',
  'AWS_ROLE_ARN',
  'AWS_ROLE_SESSION_NAME',
  'AWS_WEB_IDENTITY_TOKEN_FILE',
  'AWS_EC2_METADATA_DISABLED',
  'AWS_USE_FIPS_ENDPOINT',
  'AWS_USE_DUALSTACK_ENDPOINT',
] as const;

/** Those of them that are secrets: they stand in a file that others cannot read, and nowhere that is shown. */
export const secretVariables = ['AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'] as const;
