/** Makes a filesystem one of mkfs.btrfs before 4.16, whose top level has no UUID. No version of today makes one. */
import { type FileHandle, open } from 'node:fs/promises';

/** The on-disk format of Btrfs, as its documentation has it under "On-disk Format". All numbers are little-endian. */
const superblockAt = 65_536;
const nodeSizeAt = 0x94;
const fsid = { at: 0x20, end: 0x30 };
const header = { owner: 0x58, items: 0x60, level: 0x64, bytes: 0x65 };
const item = { type: 8, dataAt: 17, bytes: 25 };
const [rootTree, topLevel, rootItem, uuidInRootItem] = [1n, 5n, 132, 247];
const pieceBytes = 2 ** 20;

/**
 * Removes the UUID of the top level from an image that is not mounted: from its root item, in every leaf of the root tree and each copy of
 * it, whose checksum is made anew. The trees that lead there need not be read: a leaf says of what it is.
 */
export async function removeTopLevelUuid(imagePath: string): Promise<void> {
  const image = await open(imagePath, 'r+');
  try {
    const superblock = await readAt(image, superblockAt, 4096);
    const nodeSize = superblock.readUInt32LE(nodeSizeAt);
    const own = superblock.subarray(fsid.at, fsid.end);
    const { size } = await image.stat();
    let found = 0;
    for (let at = pieceBytes; at < size; at += pieceBytes) {
      const piece = await readAt(image, at, pieceBytes);
      for (let inside = 0; inside < piece.length; inside += nodeSize) {
        const node = piece.subarray(inside, inside + nodeSize);
        if (!node.subarray(fsid.at, fsid.end).equals(own) || !clearUuid(node)) continue;
        node.writeUInt32LE(crc32c(node.subarray(fsid.at)), 0);
        await image.write(node, 0, nodeSize, at + inside);
        found++;
      }
    }
    if (found === 0) throw new Error(`no root item of the top level in ${imagePath}`);
    await image.sync();
  } finally {
    await image.close();
  }
}

async function readAt(image: FileHandle, at: number, bytes: number): Promise<Buffer> {
  return (await image.read(Buffer.alloc(bytes), 0, bytes, at)).buffer;
}

/** False where a node is no leaf of the root tree, or has no root item of the top level. */
function clearUuid(node: Buffer): boolean {
  if (node.readBigUInt64LE(header.owner) !== rootTree || node.readUInt8(header.level) !== 0) return false;
  for (let index = 0; index < node.readUInt32LE(header.items); index++) {
    const key = node.subarray(header.bytes + index * item.bytes);
    if (key.readBigUInt64LE() !== topLevel || key.readUInt8(item.type) !== rootItem) continue;
    const at = header.bytes + key.readUInt32LE(item.dataAt) + uuidInRootItem;
    node.fill(0, at, at + 16);
    return true;
  }
  return false;
}

function crc32c(bytes: Buffer): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return ~crc >>> 0;
}
