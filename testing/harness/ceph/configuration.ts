/** The ceph.conf of a cluster that has one monitor, one disk and one gateway, all on loopback and in one folder. */
import { join } from 'node:path';

/** Where everything of a cluster is. */
export interface CephPlaces {
  readonly configuration: string;
  readonly keyring: string;
  readonly monitor: string;
  readonly monitorMap: string;
  readonly disk: string;
  readonly gateway: string;
  readonly logs: string;
  readonly run: string;
}

/** Who the cluster is, and where it listens. */
export interface CephIdentity {
  readonly clusterId: string;
  readonly monitorPort: number;
  readonly gatewayPort: number;
}

/** The file that plays the disk. It is sparse: room that is not used costs nothing. */
const diskBytes = 64 * 2 ** 30;

/** The places below the directory of a cluster. */
export function cephPlaces(directory: string): CephPlaces {
  const below = (name: string) => join(directory, name);
  return {
    configuration: below('ceph.conf'),
    keyring: below('keyring'),
    monitor: below('monitor'),
    monitorMap: below('monitor-map'),
    disk: below('disk'),
    gateway: below('gateway'),
    logs: below('logs'),
    run: below('run'),
  };
}

/** The address of the monitor, in the notation of Ceph's second messenger. */
export function monitorAddress({ monitorPort }: CephIdentity): string {
  return `v2:127.0.0.1:${monitorPort}/0`;
}

/** The text of ceph.conf. The names are those of Ceph 16, see its configuration reference. */
export function cephConfiguration(places: CephPlaces, identity: CephIdentity): string {
  const settings = {
    ...placement(places),
    ...network(identity),
    ...onePlaceForAll,
    ...quickStart,
    'rgw frontends': `beast endpoint=127.0.0.1:${identity.gatewayPort}`,
    // Keys of clients and encryption by the server are accepted without TLS, as behind a proxy.
    'rgw crypt require ssl': 'false',
    'rgw enable usage log': 'false',
    'rgw enable ops log': 'false',
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`);
  return `[global]\n${lines.join('\n')}\n`;
}

/** Every path that Ceph would else take from /etc/ceph, /var/lib/ceph, /var/log/ceph or /run/ceph. */
function placement(places: CephPlaces): Readonly<Record<string, string>> {
  return {
    keyring: places.keyring,
    'mon data': places.monitor,
    'osd data': places.disk,
    'rgw data': places.gateway,
    'log file': join(places.logs, '$name.log'),
    'mon cluster log file': join(places.logs, 'cluster.log'),
    'run dir': places.run,
    'crash dir': places.run,
    // A socket's path may have 107 bytes, which a checkout in a deep folder exceeds.
    'admin socket': '',
    'pid file': '',
  };
}

function network(identity: CephIdentity): Readonly<Record<string, string>> {
  return {
    fsid: identity.clusterId,
    'mon host': monitorAddress(identity),
    'mon initial members': 'a',
    'public addr': '127.0.0.1',
    'cluster addr': '127.0.0.1',
    'public network': '127.0.0.0/8',
    'ms bind msgr1': 'false',
    'auth cluster required': 'none',
    'auth service required': 'none',
    'auth client required': 'none',
    // Its default asks for encryption first, and the gateway then finds no common mode without keys.
    'ms mon client mode': 'crc',
  };
}

/** One copy on one disk, without the complaint that this is no good idea. */
const onePlaceForAll = {
  'osd pool default size': '1',
  'osd pool default min size': '1',
  'osd crush chooseleaf type': '0',
  'mon allow pool size one': 'true',
  'mon max pg per osd': '1000',
  'osd objectstore': 'bluestore',
  'bluestore block size': String(diskBytes),
  // The least that Ceph takes; its default of 4 GiB is for real disks.
  'osd memory target': '939524096',
} as const;

/** With Ceph's default of one second between two decisions of the monitor, the start takes 20 seconds instead of 8. */
const quickStart = {
  'paxos propose interval': '0.02',
  'paxos min wait': '0.01',
  'osd pool default pg num': '1',
  'osd pool default pgp num': '1',
  'osd pool default pg autoscale mode': 'off',
} as const;
