/**
 * A Ceph cluster of one node with an S3 gateway: what people run who keep S3 in their own house. Everything it has is in
 * one folder, nothing of it is a service of the system, and another cluster of this machine is neither read nor touched.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type Daemon, startDaemon } from '../processes/daemon.ts';
import { freePorts } from '../processes/free-port.ts';
import type { BucketAccess } from '../servers/bucket-access.ts';
import type { RunningServer } from '../servers/running-server.ts';
import { cephTools } from './ceph-tools.ts';
import { type CephIdentity, cephConfiguration, cephPlaces, monitorAddress } from './configuration.ts';
import { createBucket, createUser, defineZone, untilAnswers } from './gateway.ts';
import { cephLacks } from './lacks.ts';
import { requireCeph } from './packages.ts';

/** Where it goes, its bucket, and what its processes see of the environment. */
export interface CephOptions {
  /** Made when it is missing; the cluster's files stay in it after the stop, for whoever made it to remove. */
  readonly directory: string;
  readonly bucket: string;
  /** All that its processes see, PATH and the mark by which they are found again among it. */
  readonly environment: Readonly<Record<string, string>>;
  /** Ends the start, and everything that was started, when it is aborted. */
  readonly signal?: AbortSignal;
  /**
   * Whether it goes on when this process ends, however it ends; whoever wants that has to find its processes again, by
   * their environment. By default it ends with this process.
   */
  readonly outlive?: boolean;
}

const startWithinMs = 120_000;
const region = 'us-east-1';

/**
 * Starts a cluster on free ports of 127.0.0.1, with a user whose keys Ceph makes, and makes the bucket.
 * @throws one line where Ceph is not installed; the end of its log where a daemon dies; the signal's reason.
 */
export async function startCeph(options: CephOptions): Promise<RunningServer> {
  await requireCeph(options.environment.PATH ?? '');
  // The paths stand in ceph.conf, and the daemons do not stay in the folder where they were started.
  const directory = resolve(options.directory);
  const [monitorPort = 0, gatewayPort = 0] = await freePorts(2);
  const identity = { clusterId: randomUUID(), monitorPort, gatewayPort };
  const daemons: Daemon[] = [];
  const death = new AbortController();
  // Nothing that is stored here is to be kept, so nothing is gained by an orderly end, which takes seconds.
  const stop = async () => {
    await Promise.all(daemons.map((daemon) => daemon.kill()));
  };
  const launch = async (command: string, args: readonly string[], name: string) => {
    const { configuration, logs } = cephPlaces(directory);
    const daemon = await startDaemon({
      command,
      args: ['--conf', configuration, ...args, '--foreground'],
      environment: options.environment,
      log: `${logs}/${name}.out`,
      outlive: options.outlive ?? false,
    });
    daemons.push(daemon);
    void daemon.ended.then((how) => death.abort(new Error(how)));
  };
  const signals = [
    death.signal,
    AbortSignal.timeout(startWithinMs),
    ...(options.signal ? [options.signal] : []),
  ];
  const signal = AbortSignal.any(signals);
  try {
    const access = await bringUp({ ...options, directory, identity, launch, signal });
    return { ...access, lacks: cephLacks, stop };
  } catch (error) {
    // A command fails when its daemon dies or its time is over; that is the reason to report.
    const reason = signal.aborted ? signal.reason : error;
    await stop();
    throw reason;
  }
}

interface BringUp {
  readonly directory: string;
  readonly bucket: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly identity: CephIdentity;
  readonly launch: (command: string, args: readonly string[], name: string) => Promise<void>;
  readonly signal: AbortSignal;
}

async function bringUp(options: BringUp): Promise<BucketAccess> {
  const { directory, bucket, environment, identity, launch, signal } = options;
  const places = cephPlaces(directory);
  const tools = cephTools({ configuration: places.configuration, environment, signal });
  for (const folder of [directory, places.monitor, places.disk, places.gateway, places.logs, places.run]) {
    await mkdir(folder, { recursive: true, mode: 0o700 });
  }
  await writeFile(places.configuration, cephConfiguration(places, identity), { mode: 0o600 });
  await writeFile(places.keyring, '', { mode: 0o600 });

  const address = `[${monitorAddress(identity)}]`;
  await tools.run('monmaptool', [
    '--create',
    '--fsid',
    identity.clusterId,
    '--addv',
    'a',
    address,
    places.monitorMap,
  ]);
  await tools.run('ceph-mon', ['--mkfs', '--id', 'a', '--monmap', places.monitorMap]);
  await launch('ceph-mon', ['--id', 'a'], 'monitor');

  const diskId = randomUUID();
  await tools.run('ceph', ['osd', 'new', diskId]);
  await tools.run('ceph-osd', ['--mkfs', '--id', '0', '--osd-uuid', diskId]);
  await launch('ceph-osd', ['--id', '0'], 'disk');

  // The first command that needs a zone makes the default one.
  const keys = await createUser(tools);
  await defineZone(tools, region);
  await launch('radosgw', ['--name', 'client.rgw'], 'gateway');
  const access = { endpoint: `http://127.0.0.1:${identity.gatewayPort}`, region, bucket, ...keys };
  await untilAnswers(access.endpoint, signal);
  await createBucket(access, signal);
  return access;
}
