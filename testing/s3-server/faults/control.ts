/**
 * The control endpoint: faults, permissions and the record of requests, for another process on this machine. Its paths
 * begin with a bucket name that S3 does not allow. It wants the account's secret, so that no stray client can use it.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import type { PermissionSettings, Permissions } from '../auth/permissions.ts';
import type { RequestRecord } from '../http/request.ts';
import type { FaultRule } from './fault-rules.ts';
import type { Faults } from './faults.ts';
import { InvalidSetting } from './invalid-setting.ts';

/** What every path of the endpoint begins with. */
export const CONTROL_PREFIX = '/-/control';

/** What can be controlled. */
export interface Controls {
  readonly faults: Faults;
  readonly permissions: Permissions;
  readonly requests: RequestRecord[];
}

function sameText(left: string, right: string): boolean {
  const [leftHash, rightHash] = [left, right].map((text) => createHash('sha256').update(text).digest());
  return leftHash !== undefined && rightHash !== undefined && timingSafeEqual(leftHash, rightHash);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new InvalidSetting('the body is not JSON', { cause });
  }
}

/**
 * The routes below CONTROL_PREFIX, as a plugin of the server's own framework. Bodies are JSON, whatever their
 * Content-Type says; errors are answered with `{statusCode, error, message}`.
 */
export function controlRoutes({ faults, permissions, requests }: Controls, secretAccessKey: string) {
  return async (app: FastifyInstance): Promise<void> => {
    app.addHook('onRequest', async (request, reply) => {
      if (!sameText(request.headers.authorization ?? '', `Bearer ${secretAccessKey}`)) {
        await reply.code(401).header('www-authenticate', 'Bearer').send({
          statusCode: 401,
          error: 'Unauthorized',
          message: "the control endpoint wants the account's secret: authorization: Bearer SECRET",
        });
      }
    });
    app.removeAllContentTypeParsers();
    app.addContentTypeParser('*', { parseAs: 'string' }, async (_request: unknown, body: string | Buffer) =>
      parseJson(String(body)),
    );

    app.get('/faults', async () => faults.list());
    app.put('/faults', async ({ body }) => {
      // `set` checks what it is given.
      faults.set(body as readonly FaultRule[]);
      return faults.list();
    });
    app.delete('/faults', async (_request, reply) => {
      faults.clear();
      return reply.code(204).send();
    });

    app.get('/permissions', async () => permissions.list());
    app.put('/permissions', async ({ body }) => {
      permissions.set(body as PermissionSettings);
      return permissions.list();
    });
    app.delete('/permissions', async (_request, reply) => {
      permissions.clear();
      return reply.code(204).send();
    });

    app.get('/requests', async () => requests);
    app.delete('/requests', async (_request, reply) => {
      requests.length = 0;
      return reply.code(204).send();
    });

    app.setNotFoundHandler(async ({ method, url }, reply) =>
      reply.code(404).send({ statusCode: 404, error: 'Not Found', message: `no ${method} ${url} here` }),
    );
  };
}
