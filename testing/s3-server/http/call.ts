/** What every operation is given and gives back. */
import type { Readable } from 'node:stream';
import type { Action } from '../auth/actions.ts';
import type { Habits } from '../habits/habits.ts';
import type { ObjectRecord } from '../store/records.ts';
import type { Store } from '../store/store.ts';
import type { UploadStore } from '../store/upload-store.ts';
import type { Payload } from './payload.ts';
import type { RequestRecord, S3Request } from './request.ts';

/** The settings of a server that operations need. */
export interface Settings {
  readonly region: string;
  /** Most keys, parts or uploads on one page of a listing, whatever a client asks for. */
  readonly listPageSize: number;
  /** Milliseconds between a restore request and the object being readable. */
  readonly thawDelayMs: number;
  readonly habits: Habits;
}

/** One authenticated request on its way through an operation. */
export interface Call {
  readonly request: S3Request;
  readonly payload: Payload;
  readonly record: RequestRecord;
  readonly store: Store;
  readonly uploads: UploadStore;
  readonly settings: Settings;
  /** Checks actions on a key that only the body names. @throws S3Error AccessDenied */
  readonly authorize: (actions: readonly Action[], key: string) => void;
}

/** What goes back; a stream is sent with the Content-Length that the headers give. */
export interface S3Response {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Readable;
}

/** An operation's code. */
export type Handler = (call: Call) => Promise<S3Response>;

/** The bucket and key of a request that the router has already found to have both. */
export function target(call: Call): { readonly bucket: string; readonly key: string } {
  return { bucket: call.request.bucket ?? '', key: call.request.key ?? '' };
}

/** A 200 with an XML document. */
export function xmlResponse(body: string, headers: Readonly<Record<string, string>> = {}): S3Response {
  return { status: 200, headers: { 'content-type': 'application/xml', ...headers }, body };
}

/** The header that dates an object, in HTTP's form. */
export function lastModifiedHeader(record: Pick<ObjectRecord, 'lastModified'>): Record<string, string> {
  return { 'last-modified': new Date(record.lastModified).toUTCString() };
}

/** An ETag as it goes into headers and documents. */
export function quotedEtag(record: Pick<ObjectRecord, 'etag'>): string {
  return `"${record.etag}"`;
}
