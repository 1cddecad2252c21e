/** Edits of modes, owners, times, attributes and flags. */
import { chance, choose, chooseEntry, type Edit, type EditPlace, quoted } from './edit.ts';

const modes = [0o644, 0o600, 0, 0o755, 0o4755, 0o2755, 0o1777, 0o7777];
const owners = [0, 1, 1000, 65_534, 4_000_000_000];
/** Before 1970, after 2038, and between. */
const times = ['-1000000001', '0', '1', '1000000000123456789', '4000000000999999999', '9000000000000000001'];
const attributeSizes = [0, 1, 100, 3000, 15_000];
/** FS_NOCOW_FL, FS_NOCOMP_FL and FS_NODUMP_FL, as linux/fs.h has them. */
const flags = [
  ['+C', 0x0080_0000],
  ['+m', 0x400],
  ['+d', 0x40],
] as const;
/** FS_COMPR_FL: Btrfs sets the property btrfs.compression with it, which new entries below inherit. */
const compressFlag = ['+c', 0x4] as const;

/** The top directory now and then. */
const anything = (place: EditPlace, types: string) =>
  chance(place.random, 10) ? '.' : chooseEntry(place, types);

const chmod: Edit = async (place) => {
  const path = anything(place, 'fdps');
  if (path === undefined) return undefined;
  const mode = choose(place.random, modes) ?? 0;
  await place.hands.do('chmod', place.root, { path, mode });
  return `chmod ${mode.toString(8)} ${quoted(path)}`;
};

const chown: Edit = async (place) => {
  const path = anything(place, 'fdlpsc');
  if (path === undefined) return undefined;
  const [uid, gid] = [choose(place.random, owners) ?? 0, choose(place.random, owners) ?? 0];
  await place.hands.do('chown', place.root, { path, uid, gid });
  return `chown ${uid}:${gid} ${quoted(path)}`;
};

const touch: Edit = async (place) => {
  const path = anything(place, 'fdlps');
  if (path === undefined) return undefined;
  const ns = choose(place.random, times) ?? '0';
  await place.hands.do('utime', place.root, { path, ns });
  return `set the time of ${quoted(path)} to ${ns} ns`;
};

const attributeNames = ['user.a', 'user.b', 'trusted.a', 'user.odd = name', 'security.other'];

const setAttribute: Edit = async (place) => {
  const path = anything(place, 'fd');
  if (path === undefined) return undefined;
  const key = choose(place.random, attributeNames) ?? 'user.a';
  const value = place.random.bytes(choose(place.random, attributeSizes) ?? 0).toString('hex');
  await place.hands.do('setxattr', place.root, { path, key, value });
  return `set ${key} of ${quoted(path)} to ${value.length / 2} bytes`;
};

const setAttributeOfOthers: Edit = async (place) => {
  const path = chooseEntry(place, 'lpscb');
  if (path === undefined) return undefined;
  await place.hands.do('setxattr', place.root, { path, key: 'trusted.a', value: '00ff0a' });
  return `set trusted.a of ${quoted(path)}`;
};

const removeAttribute: Edit = async (place) => {
  const path = anything(place, 'fd');
  const key = choose(place.random, [
    'user.a',
    'user.b',
    'trusted.a',
    'security.capability',
    'btrfs.compression',
  ]);
  if (path === undefined || key === undefined) return undefined;
  await place.hands.do('removexattr', place.root, { path, key });
  return `remove ${key} of ${quoted(path)}`;
};

const setAcl: Edit = async (place) => {
  const isDefault = chance(place.random, 40);
  // What the top directory has by default, btrfs receive gives to all that it makes: see inherit-acl.
  const path = isDefault ? chooseEntry(place, 'd') : anything(place, 'fd');
  return path === undefined ? undefined : setAclOf(place, path, isDefault);
};

async function setAclOf(place: EditPlace, path: string, isDefault: boolean): Promise<string> {
  const [uid, perm] = [choose(place.random, owners.slice(0, 4)) ?? 0, place.random.below(8)];
  await place.hands.do('acl', place.root, { path, default: isDefault, uid, perm });
  return `set ${isDefault ? 'the default' : 'an'} ACL of ${quoted(path)} for user ${uid}`;
}

/** A default ACL of the top directory, which is set after what is in it was made. */
const inheritAcl: Edit = (place) => setAclOf(place, '.', true);

const setCapability: Edit = async (place) => {
  const path = chooseEntry(place, 'f');
  if (path === undefined) return undefined;
  await place.hands.do('capability', place.root, { path, permitted: 1 << place.random.below(30) });
  return `set a capability of ${quoted(path)}`;
};

const setCompression: Edit = async (place) => {
  const path = chooseEntry(place, 'fd');
  return path === undefined ? undefined : setCompressionOf(place, path);
};

async function setCompressionOf(place: EditPlace, path: string): Promise<string> {
  const algorithm = choose(place.random, ['zstd', 'lzo', 'zlib', 'none']) ?? 'zstd';
  const value = Buffer.from(algorithm).toString('hex');
  await place.hands.do('setxattr', place.root, { path, key: 'btrfs.compression', value });
  return `set the compression of ${quoted(path)} to ${algorithm}`;
}

/** A compression of the top directory, which is set after what is in it was made. */
const inheritCompression: Edit = (place) =>
  chance(place.random, 50) ? setCompressionOf(place, '.') : changeFlag(place, '.', compressFlag);

async function changeFlag(
  place: EditPlace,
  path: string | undefined,
  [letter, bit]: readonly [string, number],
): Promise<string | undefined> {
  if (path === undefined) return undefined;
  const drop = chance(place.random, 30);
  await place.hands.do('setflags', place.root, { path, [drop ? 'drop' : 'add']: bit });
  return `chattr ${drop ? letter.replace('+', '-') : letter} ${quoted(path)}`;
}

const setFlag: Edit = (place) =>
  changeFlag(place, anything(place, 'fd'), choose(place.random, flags) ?? flags[0]);

const setCompressFlag: Edit = (place) => changeFlag(place, chooseEntry(place, 'fd'), compressFlag);

/** The edits, by name. */
export const metadataEdits = {
  chmod,
  chown,
  touch,
  'set-attribute': setAttribute,
  'set-attribute-of-others': setAttributeOfOthers,
  'remove-attribute': removeAttribute,
  'set-acl': setAcl,
  'inherit-acl': inheritAcl,
  'set-capability': setCapability,
  'set-compression': setCompression,
  'inherit-compression': inheritCompression,
  'set-flag': setFlag,
  'set-compress-flag': setCompressFlag,
} as const satisfies Readonly<Record<string, Edit>>;
