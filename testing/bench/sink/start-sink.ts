/** Starts and asks a sink. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { get as httpGet } from 'node:http';
import { get as httpsGet } from 'node:https';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { json, text } from 'node:stream/consumers';
import { shell } from '../../harness/processes/shell.ts';
import type { BucketAccess } from '../../harness/servers/bucket-access.ts';
import { repositoryRoot } from '../../harness/test-directory.ts';
import { countsPath, type SinkCounts } from './sink.ts';

/** How the line to the sink is. */
export interface LineOptions {
  readonly tls: boolean;
  readonly delayMs: number;
  readonly megabitsPerSecond: number | undefined;
}

/** A sink in a process of its own. */
export interface RunningSink extends BucketAccess {
  /** What its clients must see of the environment; those that are no programs of node need its certificate as well. */
  readonly environment: Readonly<Record<string, string>>;
  /** File with the certificate, where it speaks TLS. */
  readonly certificate: string | undefined;
  /** What passed since the last call. */
  counts(): Promise<SinkCounts>;
  stop(): Promise<void>;
}

const guard = join(import.meta.dirname, '../../harness/processes/end-with-parent.ts');

/**
 * Starts a sink on a free port of 127.0.0.1; it ends with this process.
 * @param directory for key and certificate.
 * @param stream file with the bytes of its large objects.
 * @throws with the sink's own words when it does not start.
 */
export async function startSink(
  line: LineOptions,
  directory: string,
  environment: Readonly<Record<string, string>>,
  stream?: string,
): Promise<RunningSink> {
  const tls = line.tls ? await makeCertificate(directory) : undefined;
  const rate = line.megabitsPerSecond;
  const args = [
    ...['--delay-ms', `${line.delayMs}`],
    ...(stream === undefined ? [] : ['--stream', stream]),
    ...(rate === undefined ? [] : ['--bytes-per-second', `${(rate * 1e6) / 8}`]),
    ...(tls ? ['--key', tls.key, '--certificate', tls.certificate] : []),
  ];
  const main = join(import.meta.dirname, 'main.ts');
  const child = spawn(process.execPath, ['--import', 'tsx', '--import', guard, main, ...args], {
    cwd: repositoryRoot,
    // In a group of its own, so that Ctrl-C in a terminal does not end it under the commands that still use it.
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...environment },
  });
  const ended = once(child, 'close');
  const complaint = text(child.stderr);
  const [endpoint] = await Promise.race([
    once(createInterface({ input: child.stdout }), 'line'),
    ended.then(() => [undefined]),
  ]);
  if (endpoint === undefined) throw new Error(`the sink did not start: ${(await complaint).trim()}`);
  const access = {
    endpoint,
    region: 'us-east-1',
    bucket: 'bench',
    accessKeyId: 'bench',
    secretAccessKey: 'bench',
  };
  return {
    ...access,
    certificate: tls?.certificate,
    environment: {
      AWS_ENDPOINT_URL_S3: endpoint,
      AWS_REGION: access.region,
      AWS_ACCESS_KEY_ID: access.accessKeyId,
      AWS_SECRET_ACCESS_KEY: access.secretAccessKey,
      AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
      ...(tls && { NODE_EXTRA_CA_CERTS: tls.certificate }),
    },
    counts: () => readCounts(`${endpoint}${countsPath}`, tls?.certificate),
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

async function readCounts(url: string, certificate: string | undefined): Promise<SinkCounts> {
  const request =
    certificate === undefined
      ? httpGet(url, { agent: false })
      : httpsGet(url, { agent: false, ca: readFileSync(certificate) });
  const [response] = await once(request, 'response');
  return (await json(response)) as SinkCounts;
}

async function makeCertificate(
  directory: string,
): Promise<{ readonly key: string; readonly certificate: string }> {
  const [key, certificate] = [join(directory, 'sink.key'), join(directory, 'sink.pem')];
  const made = await shell({
    nothrow: true,
  })`openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 -keyout ${key} -out ${certificate}`;
  if (made.exitCode !== 0)
    throw new Error(`openssl made no certificate, which TLS needs: ${made.stderr.trim()}`);
  return { key, certificate };
}
