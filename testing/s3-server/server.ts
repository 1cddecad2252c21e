/**
 * An S3 server for tests: on loopback only, one account, data on disk. It is strict where S3 is strict, so that what passes against it
 * has a fair chance against S3; asked for a provider's habits, it has those.
 */
import { mkdir } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import { type PermissionSettings, Permissions } from './auth/permissions.ts';
import { isPresigned, verifyPresigned } from './auth/presigned.ts';
import { verifyHeaderSignature } from './auth/signature.ts';
import type { Account } from './auth/sigv4.ts';
import { isBucketName } from './bucket/buckets.ts';
import { CONTROL_PREFIX, controlRoutes } from './faults/control.ts';
import type { FaultRule } from './faults/fault-rules.ts';
import { Faults, faultSubject } from './faults/faults.ts';
import { playFault } from './faults/play-fault.ts';
import type { Habits } from './habits/habits.ts';
import { PlayedHabits } from './habits/play-habits.ts';
import { type ProviderName, providers } from './habits/providers.ts';
import type { Call, S3Response, Settings } from './http/call.ts';
import { errorResponse } from './http/error-response.ts';
import { S3Error } from './http/errors.ts';
import { newRequestId, parseRequest, type RequestRecord, type S3Request } from './http/request.ts';
import { archiveByTiering, moveThaws } from './objects/archive.ts';
import { routeRequest } from './router.ts';
import { Store } from './store/store.ts';
import { UploadStore } from './store/upload-store.ts';

/** How to start a server. */
export interface S3ServerOptions {
  /** Where everything is kept; made when it is missing. A later server on the same directory serves the same. */
  readonly directory: string;
  /** 0, the default, takes any free port. */
  readonly port?: number;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly region?: string;
  /** Buckets to make at the start unless they are there. */
  readonly buckets?: readonly string[];
  /** Most keys, parts or uploads on one page, to make paging cheap to test; at most and by default 1000. */
  readonly listPageSize?: number;
  /** Milliseconds from RestoreObject to the object being readable; 0 means that the next request can read it. */
  readonly thawDelayMs?: number;
  /** Faults to begin with; none by default. */
  readonly faults?: readonly FaultRule[];
  /** Whose habits the server has; S3's by default. */
  readonly provider?: ProviderName | undefined;
  /** Habits beside the provider's, or instead of one of them. */
  readonly habits?: Habits;
  /** Actions that the account may not do, and the only ones that it may; everything is allowed by default. */
  readonly denied?: PermissionSettings['denied'];
  readonly allowed?: PermissionSettings['allowed'];
}

/** A running server. */
export interface S3Server {
  readonly endpoint: string;
  readonly port: number;
  /** Every request since the start, in order of arrival. */
  readonly requests: RequestRecord[];
  readonly faults: Faults;
  readonly permissions: Permissions;
  /** Moves every thaw on, as time would: under way ones become readable, and thawed copies go. */
  readonly thaws: { finish(): Promise<void>; expire(): Promise<void> };
  /** Archives what lies in INTELLIGENT_TIERING under some keys. */
  archive(isMeant: (key: string) => boolean, tier?: 'ARCHIVE_ACCESS' | 'DEEP_ARCHIVE_ACCESS'): Promise<void>;
  /** Closes the port and every connection, and waits until no operation touches the directory any more. */
  stop(): Promise<void>;
}

/**
 * Starts a server on 127.0.0.1.
 * @throws when the port is taken, a setting is against its rules, the directory cannot be used, or a record in it is damaged
 */
export async function startS3Server(options: S3ServerOptions): Promise<S3Server> {
  const faults = new Faults();
  faults.set(options.faults ?? []);
  const permissions = new Permissions(options.accessKeyId);
  permissions.set({ denied: options.denied, allowed: options.allowed });
  await mkdir(options.directory, { recursive: true });
  const store = await Store.open(options.directory);
  const uploads = new UploadStore(options.directory, store);
  for (const bucket of options.buckets ?? []) {
    if (!isBucketName(bucket)) {
      throw new Error(`'${bucket}' is not a bucket name that S3 allows`);
    }
    await store.createBucket(bucket);
  }
  const region = options.region ?? 'us-east-1';
  const account: Account = { ...options, region };
  const settings: Settings = {
    region,
    listPageSize: Math.min(options.listPageSize ?? 1000, 1000),
    thawDelayMs: options.thawDelayMs ?? 0,
    habits: { ...(options.provider === undefined ? {} : providers[options.provider]), ...options.habits },
  };
  const habits = new PlayedHabits(settings.habits, store, uploads);
  const requests: RequestRecord[] = [];
  const running = new Set<Promise<FastifyReply>>();

  // The life of a request in one place: authenticate, authorize, run the operation, answer. A fault is played around
  // these steps, by playFault.
  async function respond(request: S3Request, record: RequestRecord): Promise<S3Response> {
    const operation = routeRequest(request);
    try {
      const verify = isPresigned(request) ? verifyPresigned : verifyHeaderSignature;
      const payload = await verify(request, account, Date.now());
      permissions.checkRequest(operation.name, request);
      const authorize: Call['authorize'] = (actions, key) => {
        for (const action of actions) {
          permissions.check({ action, bucket: request.bucket, key });
        }
      };
      const heeded = await habits.hear(request, operation.name);
      const call: Call = { request: heeded, payload, record, store, uploads, settings, authorize };
      return habits.say(request, operation.name, await operation.handler(call));
    } catch (thrown) {
      const error = permissions.concealAbsence(thrown, operation.name, request);
      return habits.say(
        request,
        operation.name,
        errorResponse(error, request.method, request.path, request.id),
      );
    }
  }

  function headersOf(requestId: string, response?: S3Response): Record<string, string> {
    return {
      server: 'AmazonS3',
      ...response?.headers,
      'x-amz-request-id': requestId,
      'x-amz-id-2': 's3-server',
    };
  }

  function send(reply: FastifyReply, requestId: string, response: S3Response): FastifyReply {
    return reply.code(response.status).headers(headersOf(requestId, response)).send(response.body);
  }

  async function handle(incoming: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const id = newRequestId();
    const url = incoming.originalUrl;
    let request: S3Request;
    try {
      request = parseRequest(incoming.raw, url, id, habits.bucketOfHost(incoming.raw.headers.host));
    } catch (error) {
      return send(reply, id, errorResponse(error, incoming.method, url, id));
    }
    const { method, bucket, key } = request;
    const record: RequestRecord = {
      method,
      operation: routeRequest(request).name,
      bucket,
      key,
      ...(method === 'PUT' && request.query.partNumber && { partNumber: Number(request.query.partNumber) }),
      ...(request.headers.range !== undefined && { range: request.headers.range }),
      status: 0,
      bytesReceived: 0,
    };
    requests.push(record);
    const answer = (response: S3Response): FastifyReply => {
      record.status = response.status;
      return send(reply, id, response);
    };
    const refused = habits.refuseAtProxy(incoming.raw.headers['content-length']);
    if (refused !== undefined) return answer(refused);
    const rule = faults.take(faultSubject(request, record));
    if (rule === undefined) {
      return answer(await respond(request, record));
    }
    await playFault(rule, {
      request,
      record,
      incoming: incoming.raw,
      outgoing: reply.raw,
      respond: (spoiled) => respond(spoiled, record),
      refuse: (code) => errorResponse(new S3Error(code), method, request.path, id),
      send: answer,
      takeOver: (response) => {
        reply.hijack();
        return headersOf(id, response);
      },
    });
    return reply;
  }

  const app = fastify({
    forceCloseConnections: true,
    // Keys are opaque: the router must neither decode nor normalise them, so it only ever sees one path.
    rewriteUrl: ({ url = '' }) => (url.startsWith(`${CONTROL_PREFIX}/`) ? url : '/'),
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, payload, done) => done(null, payload));
  const tracked = async (incoming: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const work = handle(incoming, reply);
    running.add(work);
    try {
      return await work;
    } finally {
      running.delete(work);
    }
  };
  app.all('/', tracked);
  await app.register(controlRoutes({ faults, permissions, requests }, options.secretAccessKey), {
    prefix: CONTROL_PREFIX,
  });
  // Methods that HTTP has and S3 does not get S3's refusal too.
  app.setNotFoundHandler(tracked);
  // A client that asks before it sends its body gets 100 Continue where the body may come; one that then leaves has asked for nothing.
  app.server.on('checkContinue', (incoming: IncomingMessage, outgoing: ServerResponse) => {
    const serve = () => app.server.emit('request', incoming, outgoing);
    if (habits.refuseAtProxy(incoming.headers['content-length']) !== undefined) {
      serve();
      return;
    }
    incoming.once('readable', serve);
    outgoing.writeContinue();
  });
  const endpoint = await app.listen({ host: '127.0.0.1', port: options.port ?? 0 });
  return {
    endpoint,
    port: Number(new URL(endpoint).port),
    requests,
    faults,
    permissions,
    archive: (isMeant, tier = 'ARCHIVE_ACCESS') => archiveByTiering(store, isMeant, tier),
    thaws: { finish: () => moveThaws(store, 'finish'), expire: () => moveThaws(store, 'expire') },
    async stop() {
      await app.close();
      await Promise.allSettled(running);
    },
  };
}
