/** Every operation this server has, with the shape of the requests that ask for it (path style only). */

import { createBucket, deleteBucket, getBucketLocation, headBucket, listBuckets } from './bucket/buckets.ts';
import { deleteBucketLifecycle, getBucketLifecycle, putBucketLifecycle } from './bucket/lifecycle.ts';
import {
  getObjectLockConfiguration,
  getObjectRetention,
  putObjectLockConfiguration,
  putObjectRetention,
} from './bucket/retention.ts';
import type { Handler } from './http/call.ts';
import { S3Error } from './http/errors.ts';
import { completeMultipartUpload } from './multipart/complete-multipart.ts';
import { abortMultipartUpload, createMultipartUpload, uploadPart } from './multipart/multipart.ts';
import { listMultipartUploads, listParts } from './multipart/multipart-listing.ts';
import { restoreObject } from './objects/archive.ts';
import { deleteObjects } from './objects/delete-objects.ts';
import { listObjects } from './objects/listing.ts';
import { getObjectAttributes } from './objects/object-attributes.ts';
import { deleteObject, getObject, headObject, putObject } from './objects/objects.ts';
import { getBucketVersioning, listObjectVersions, putBucketVersioning } from './objects/versioning.ts';

/** An operation by the name S3's API gives it. */
export interface Operation {
  readonly name: string;
  readonly handler: Handler;
}

/** The shape of the requests that ask for an operation. */
export interface Route extends Operation {
  readonly level: 'service' | 'bucket' | 'object';
  readonly method: string;
  /** Query parameters that have to be there; the first route that fits is taken. */
  readonly needs: readonly string[];
  /** Query parameters that select something within the operation. */
  readonly takes?: readonly string[];
}

/** Answers 501: S3 has the operation, this server does not, and doing another one instead would be worse. */
export async function refuse(): Promise<never> {
  throw new S3Error('NotImplemented', { message: 'This operation is not implemented' });
}

/** The first route that fits a request is taken, so one that needs a parameter stands before one that needs none. */
export const ROUTES: readonly Route[] = [
  { level: 'service', method: 'GET', needs: [], name: 'ListBuckets', handler: listBuckets },
  { level: 'bucket', method: 'HEAD', needs: [], name: 'HeadBucket', handler: headBucket },
  {
    level: 'bucket',
    method: 'GET',
    needs: ['location'],
    name: 'GetBucketLocation',
    handler: getBucketLocation,
  },
  {
    level: 'bucket',
    method: 'GET',
    needs: ['uploads'],
    name: 'ListMultipartUploads',
    handler: listMultipartUploads,
  },
  {
    level: 'bucket',
    method: 'PUT',
    needs: ['lifecycle'],
    name: 'PutBucketLifecycleConfiguration',
    handler: putBucketLifecycle,
  },
  {
    level: 'bucket',
    method: 'GET',
    needs: ['lifecycle'],
    name: 'GetBucketLifecycleConfiguration',
    handler: getBucketLifecycle,
  },
  {
    level: 'bucket',
    method: 'DELETE',
    needs: ['lifecycle'],
    name: 'DeleteBucketLifecycle',
    handler: deleteBucketLifecycle,
  },
  {
    level: 'bucket',
    method: 'PUT',
    needs: ['object-lock'],
    name: 'PutObjectLockConfiguration',
    handler: putObjectLockConfiguration,
  },
  {
    level: 'bucket',
    method: 'GET',
    needs: ['object-lock'],
    name: 'GetObjectLockConfiguration',
    handler: getObjectLockConfiguration,
  },
  {
    level: 'bucket',
    method: 'PUT',
    needs: ['versioning'],
    name: 'PutBucketVersioning',
    handler: putBucketVersioning,
  },
  {
    level: 'bucket',
    method: 'GET',
    needs: ['versioning'],
    name: 'GetBucketVersioning',
    handler: getBucketVersioning,
  },
  {
    level: 'bucket',
    method: 'GET',
    needs: ['versions'],
    name: 'ListObjectVersions',
    handler: listObjectVersions,
  },
  { level: 'bucket', method: 'GET', needs: ['list-type'], name: 'ListObjectsV2', handler: listObjects },
  { level: 'bucket', method: 'GET', needs: [], name: 'ListObjects', handler: refuse },
  { level: 'bucket', method: 'POST', needs: ['delete'], name: 'DeleteObjects', handler: deleteObjects },
  { level: 'bucket', method: 'POST', needs: [], name: 'PostObject', handler: refuse },
  { level: 'bucket', method: 'PUT', needs: [], name: 'CreateBucket', handler: createBucket },
  { level: 'bucket', method: 'DELETE', needs: [], name: 'DeleteBucket', handler: deleteBucket },
  {
    level: 'object',
    method: 'PUT',
    needs: ['retention'],
    takes: ['versionId'],
    name: 'PutObjectRetention',
    handler: putObjectRetention,
  },
  {
    level: 'object',
    method: 'GET',
    needs: ['retention'],
    takes: ['versionId'],
    name: 'GetObjectRetention',
    handler: getObjectRetention,
  },
  { level: 'object', method: 'GET', needs: ['uploadId'], name: 'ListParts', handler: listParts },
  {
    level: 'object',
    method: 'GET',
    needs: ['attributes'],
    takes: ['versionId'],
    name: 'GetObjectAttributes',
    handler: getObjectAttributes,
  },
  {
    level: 'object',
    method: 'GET',
    needs: [],
    takes: ['partNumber', 'versionId'],
    name: 'GetObject',
    handler: getObject,
  },
  {
    level: 'object',
    method: 'HEAD',
    needs: [],
    takes: ['partNumber', 'versionId'],
    name: 'HeadObject',
    handler: headObject,
  },
  {
    level: 'object',
    method: 'PUT',
    needs: ['partNumber', 'uploadId'],
    name: 'UploadPart',
    handler: uploadPart,
  },
  { level: 'object', method: 'PUT', needs: [], name: 'PutObject', handler: putObject },
  {
    level: 'object',
    method: 'POST',
    needs: ['uploads'],
    name: 'CreateMultipartUpload',
    handler: createMultipartUpload,
  },
  {
    level: 'object',
    method: 'POST',
    needs: ['uploadId'],
    name: 'CompleteMultipartUpload',
    handler: completeMultipartUpload,
  },
  {
    level: 'object',
    method: 'POST',
    needs: ['restore'],
    takes: ['versionId'],
    name: 'RestoreObject',
    handler: restoreObject,
  },
  {
    level: 'object',
    method: 'DELETE',
    needs: ['uploadId'],
    name: 'AbortMultipartUpload',
    handler: abortMultipartUpload,
  },
  {
    level: 'object',
    method: 'DELETE',
    needs: [],
    takes: ['versionId'],
    name: 'DeleteObject',
    handler: deleteObject,
  },
];
