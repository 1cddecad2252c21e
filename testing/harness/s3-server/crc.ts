/**
 * The two CRCs that S3 takes and Node does not have: CRC-32C (Castagnoli) and CRC-64/NVME, both reflected,
 * begun and ended with all ones (https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html).
 */
const CRC32C_POLYNOMIAL = 0x82f63b78;
const CRC64NVME_POLYNOMIAL_HIGH = 0x9a6c9329;
const CRC64NVME_POLYNOMIAL_LOW = 0xac4bc9b5;

const crc32cTable = new Int32Array(256);
const crc64HighTable = new Int32Array(256);
const crc64LowTable = new Int32Array(256);

for (let byte = 0; byte < 256; byte += 1) {
  let crc = byte;
  let high = 0;
  let low = byte;
  for (let bit = 0; bit < 8; bit += 1) {
    crc = (crc & 1) === 1 ? (crc >>> 1) ^ CRC32C_POLYNOMIAL : crc >>> 1;
    const carry = (low & 1) === 1;
    low = (low >>> 1) | (high << 31);
    high >>>= 1;
    if (carry) {
      low ^= CRC64NVME_POLYNOMIAL_LOW;
      high ^= CRC64NVME_POLYNOMIAL_HIGH;
    }
  }
  crc32cTable[byte] = crc;
  crc64HighTable[byte] = high;
  crc64LowTable[byte] = low;
}

/** A CRC that is fed piece by piece; the digest is big-endian, as S3 writes it before base64. */
export interface RunningCrc {
  update(data: Uint8Array): void;
  digest(): Buffer;
}

/** Begins a CRC-32C; its digest has 4 bytes. */
export function createCrc32c(): RunningCrc {
  let crc = -1;
  return {
    update(data) {
      for (let index = 0; index < data.length; index += 1) {
        crc = (crc >>> 8) ^ (crc32cTable[(crc ^ (data[index] ?? 0)) & 0xff] ?? 0);
      }
    },
    digest() {
      const bytes = Buffer.alloc(4);
      bytes.writeInt32BE(~crc);
      return bytes;
    },
  };
}

/** Begins a CRC-64/NVME, kept as two 32-bit halves because BigInt is some fifty times slower; 8 bytes. */
export function createCrc64nvme(): RunningCrc {
  let high = -1;
  let low = -1;
  return {
    update(data) {
      for (let index = 0; index < data.length; index += 1) {
        const slot = (low ^ (data[index] ?? 0)) & 0xff;
        low = ((low >>> 8) | (high << 24)) ^ (crc64LowTable[slot] ?? 0);
        high = (high >>> 8) ^ (crc64HighTable[slot] ?? 0);
      }
    },
    digest() {
      const bytes = Buffer.alloc(8);
      bytes.writeInt32BE(~high, 0);
      bytes.writeInt32BE(~low, 4);
      return bytes;
    },
  };
}
