/** CRC-32C as the kernel's send stream uses it: Castagnoli polynomial, without the usual inversions (lib/crc32c of linux). */

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc >>> 0;
});

/** Adds bytes to a checksum, which begins with 0. */
export function crc32c(bytes: Uint8Array, seed = 0): number {
  let crc = seed;
  for (const byte of bytes) crc = (crc >>> 8) ^ (table[(crc ^ byte) & 0xff] ?? 0);
  return crc >>> 0;
}
