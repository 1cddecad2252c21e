/** Which operation a request asks for, by method, level and query. */
import { S3Error } from './http/errors.ts';
import type { S3Request } from './http/request.ts';
import { type Operation, ROUTES, type Route, refuse } from './routes.ts';

/** Parameters that select another operation of S3 than the bare method does; a route either knows one or is refused. */
const SUBRESOURCES: ReadonlySet<string> = new Set(
  (
    'accelerate acl analytics attributes cors delete encryption intelligent-tiering inventory legal-hold lifecycle ' +
    'list-type location logging metadataTable metrics notification object-lock ownershipControls partNumber policy ' +
    'policyStatus publicAccessBlock replication requestPayment restore retention select session tagging torrent ' +
    'uploadId uploads versionId versioning versions website renameObject append'
  ).split(' '),
);

function levelOf(request: S3Request): Route['level'] {
  if (request.bucket === undefined) {
    return 'service';
  }
  return request.key === undefined ? 'bucket' : 'object';
}

/** Finds the operation; those this server lacks are found too, and answer when they are run. */
export function routeRequest(request: S3Request): Operation {
  const level = levelOf(request);
  const subresources = Object.keys(request.query).filter((name) => SUBRESOURCES.has(name));
  const candidates = ROUTES.filter((route) => route.level === level && route.method === request.method);
  const route = candidates.find((each) => each.needs.every((name) => name in request.query));
  const known = [...(route?.needs ?? []), ...(route?.takes ?? [])];
  if (subresources.some((name) => !known.includes(name))) {
    return { name: `Unknown(${subresources.join(',')})`, handler: refuse };
  }
  if (route === undefined) {
    return {
      name: 'Unknown',
      handler: async () => {
        throw new S3Error('MethodNotAllowed', { elements: { Method: request.method } });
      },
    };
  }
  if (route.method === 'PUT' && 'x-amz-copy-source' in request.headers) {
    return { name: route.name === 'UploadPart' ? 'UploadPartCopy' : 'CopyObject', handler: refuse };
  }
  return route;
}
