/**
 * What was found out about a server while it was used: which parts of S3 it does not take. Nothing of it is kept between runs, so that a
 * server that has learned something is asked anew. All copies of a bucket share one.
 */

/** How bytes on their way to the server are vouched for, beside the hash in the signature. */
export type Checksums = 'sha256' | 'md5';

/** Called with one line: what was found out, and what is done instead. */
export type NoticeListener = (level: 'info' | 'warn', message: string) => void;

/** What one server is like, as far as it is known. */
export class ServerHabits {
  readonly #onNotice: NoticeListener;
  readonly #mayChangeChecksums: boolean;
  #checksums: Checksums;
  #takesAttributes = true;
  #keepsConditions = true;
  #showsLate = false;
  #lacksThaw = false;

  /** @param setting S3_CHECKSUMS: `auto` begins with SHA-256, and may change once. */
  constructor(setting: Checksums | 'auto', onNotice: NoticeListener) {
    this.#onNotice = onNotice;
    this.#checksums = setting === 'md5' ? 'md5' : 'sha256';
    this.#mayChangeChecksums = setting === 'auto';
  }

  get checksums(): Checksums {
    return this.#checksums;
  }

  /** Headers that are not sent. */
  get leftOut(): readonly OptionalHeaders[] {
    return [
      ...(this.#checksums === 'md5' ? (['checksums'] as const) : []),
      ...(this.#takesAttributes ? [] : (['attributes'] as const)),
    ];
  }

  /** Whether `If-None-Match` and `If-Match` of a write decide about it. */
  get keepsConditions(): boolean {
    return this.#keepsConditions;
  }

  /** Notes that they do not: from now on what is there is looked at before it is written. */
  loseConditions(how: 'refuses' | 'ignores'): void {
    if (!this.#keepsConditions) return;
    this.#keepsConditions = false;
    this.#onNotice(
      'warn',
      `the server ${how} conditional writes: what is there is looked at just before it is written instead, which does not keep two hosts apart that write at the same moment; give each host its own S3_PREFIX`,
    );
  }

  /** Notes that the server shows objects only some time after it has stored them. */
  noteLateObjects(): void {
    if (this.#showsLate) return;
    this.#showsLate = true;
    this.#onNotice(
      'info',
      'the server shows objects only some seconds after it has stored them: they are looked for again, for up to a minute',
    );
  }

  /** Notes that the server takes an archive class, and no request that would thaw what is in it. */
  lackThaw(storageClass: string): void {
    if (this.#lacksThaw) return;
    this.#lacksThaw = true;
    this.#onNotice(
      'warn',
      `the server has no RestoreObject, so what it really archives as ${storageClass} can never be read again: set STORAGE_CLASS_CHUNKS=STANDARD, unless a restore from this server has worked`,
    );
  }

  /** Whether a header is sent, and may be left out. */
  canDoWithout(header: OptionalHeaders): boolean {
    return header === 'checksums'
      ? this.#mayChangeChecksums && this.#checksums === 'sha256'
      : this.#takesAttributes;
  }

  /** Notes that the server refuses some headers: from now on they are left out. */
  refuse(header: OptionalHeaders): void {
    if (!this.canDoWithout(header)) return;
    if (header === 'attributes') {
      this.#takesAttributes = false;
      return;
    }
    this.#checksums = 'md5';
    this.#onNotice(
      'info',
      'the server refuses headers with SHA-256 checksums: Content-MD5 goes along instead (S3_CHECKSUMS=md5 says so from the beginning)',
    );
  }
}

/** Headers that a request can do without: what they ask for is done in another way, or not at all. */
export type OptionalHeaders = 'checksums' | 'attributes';
