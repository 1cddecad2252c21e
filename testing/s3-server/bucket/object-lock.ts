/**
 * Object Lock: what keeps a version from being deleted before its time
 * (https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html). Legal holds are not implemented.
 */
import type { Call } from '../http/call.ts';
import { invalidArgument, S3Error } from '../http/errors.ts';
import { hasDigest } from '../http/integrity.ts';
import type { S3Request } from '../http/request.ts';
import type { BucketConfiguration, Retention, Version } from '../store/records.ts';
import { isDeleteMarker } from '../store/versions.ts';

const MODE = 'x-amz-object-lock-mode';
const UNTIL = 'x-amz-object-lock-retain-until-date';

function parseMode(mode: string): Retention['mode'] {
  if (mode !== 'COMPLIANCE' && mode !== 'GOVERNANCE') {
    throw invalidArgument(MODE, mode, 'Unknown wormMode directive.');
  }
  return mode;
}

/**
 * Reads a date until which something is to be kept.
 * @param name of the header or element that holds it
 * @throws S3Error InvalidArgument for what is no date, or not in the future
 */
export function parseRetainUntil(name: string, text: string): string {
  const date = new Date(text);
  if (!/^\d{4}-\d\d-\d\dT/.test(text) || Number.isNaN(date.getTime())) {
    throw invalidArgument(name, text, 'The retain until date must be provided in ISO 8601 format');
  }
  if (date.getTime() <= Date.now()) {
    throw invalidArgument(name, text, 'The retain until date must be in the future!');
  }
  return date.toISOString();
}

/**
 * The retention that PutObject or CreateMultipartUpload asks for by its headers.
 * @throws S3Error InvalidRequest in a bucket without Object Lock, InvalidArgument for half of it or wrong values
 */
export function readRetention(request: S3Request, configuration: BucketConfiguration): Retention | undefined {
  const { [MODE]: mode, [UNTIL]: until } = request.headers;
  if (mode === undefined && until === undefined) {
    return undefined;
  }
  if (configuration.objectLock === undefined) {
    throw new S3Error('InvalidRequest', { message: 'Bucket is missing ObjectLockConfiguration' });
  }
  if (mode === undefined || until === undefined) {
    const message = `${UNTIL} and ${MODE} must both be supplied`;
    throw invalidArgument(mode === undefined ? MODE : UNTIL, '', message);
  }
  return { mode: parseMode(mode), retainUntil: parseRetainUntil(UNTIL, until) };
}

/** What a version gets that brings no retention: the bucket's default, counted from now. */
export function defaultRetention(configuration: BucketConfiguration): Retention | undefined {
  const rule = configuration.objectLock?.defaultRetention;
  if (rule === undefined) {
    return undefined;
  }
  const until = new Date();
  if (rule.unit === 'Days') {
    until.setUTCDate(until.getUTCDate() + rule.count);
  } else {
    until.setUTCFullYear(until.getUTCFullYear() + rule.count);
  }
  return { mode: rule.mode, retainUntil: until.toISOString() };
}

/** Bytes that are to be kept must be vouched for. @throws S3Error InvalidRequest */
export function requireDigestFor(retention: Retention | undefined, call: Call): void {
  if (retention !== undefined && !hasDigest(call)) {
    throw new S3Error('InvalidRequest', {
      message:
        'Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters',
    });
  }
}

/** The headers by which GetObject and HeadObject report a version's retention. */
export function retentionHeaders(retention: Retention | undefined): Record<string, string> {
  return retention === undefined ? {} : { [MODE]: retention.mode, [UNTIL]: retention.retainUntil };
}

/** Whether the request asks to break a retention in governance mode. */
export function bypassesGovernance(request: S3Request): boolean {
  return request.headers['x-amz-bypass-governance-retention']?.toLowerCase() === 'true';
}

/** The refusal of what Object Lock forbids. */
export function lockedError(): S3Error {
  return new S3Error('AccessDenied', { message: 'Access Denied because object protected by object lock.' });
}

/** Whether a retention still holds against a request. */
export function holds(retention: Retention | undefined, bypass: boolean): boolean {
  const active = retention !== undefined && Date.parse(retention.retainUntil) > Date.now();
  return active && !(retention.mode === 'GOVERNANCE' && bypass);
}

/** Refuses to delete a version before its time. @throws S3Error AccessDenied */
export function requireUnlocked(version: Version, bypass: boolean): void {
  if (!isDeleteMarker(version) && holds(version.retention, bypass)) {
    throw lockedError();
  }
}
