/** Whether a manifest contradicts itself, or the place where it was found; its schema has judged each field alone. */
import { S3_LIMITS } from '../stream/part-sizes.ts';
import { isEncoded, PLAIN } from './codec.ts';
import { largestFrameBytes, MAX_FRAMES, partRangesOf } from './frames.ts';
import type { Manifest, ManifestChunk } from './manifest-schema.ts';
import { parseKey } from './names.ts';

/** What is inconsistent in a manifest that was found at a key, in words; undefined when nothing is. */
export function inconsistencyOf(manifest: Manifest, manifestKey: string, prefix: string): string | undefined {
  const place = parseKey(prefix, manifestKey);
  if (place?.type !== 'manifest') return `its key is not a manifest's under ${prefix}/`;
  if (place.subvolume !== manifest.subvolume) return `it names another subvolume, "${manifest.subvolume}"`;
  if (place.kind !== manifest.kind) return `it says ${manifest.kind} but lies under ${place.kind}/`;
  if (place.timestamp !== manifest.created_at) {
    return `it says ${manifest.created_at} but its key says ${place.timestamp}`;
  }
  if ((manifest.kind === 'full') !== (manifest.parent_manifest === null)) {
    return manifest.kind === 'full' ? 'it is full but has a parent' : 'it is incremental but names no parent';
  }
  if (manifest.parent_manifest !== null) {
    const parent = parseKey(prefix, manifest.parent_manifest);
    if (parent?.type !== 'manifest' || parent.subvolume !== manifest.subvolume) {
      return `its parent ${manifest.parent_manifest} is not a manifest of this subvolume under ${prefix}/`;
    }
  }
  let previousIndex = -1;
  let total = 0;
  for (const [index, chunk] of manifest.chunks.entries()) {
    const name = parseKey(prefix, chunk.key);
    if (name?.type !== 'chunk' || name.subvolume !== manifest.subvolume) {
      return `chunk ${index} has the key ${chunk.key}, which is not a chunk of this backup`;
    }
    if (name.index <= previousIndex) return `chunk ${index} has the key of chunk ${name.index}`;
    previousIndex = name.index;
    total += chunk.size;
    const problem = isEncoded(manifest.codec ?? PLAIN)
      ? encodedChunkProblem(chunk, index)
      : plainChunkProblem(chunk, index);
    if (problem) return problem;
  }
  if (total !== manifest.total_bytes) {
    return `its chunks add up to ${total} bytes, but total_bytes is ${manifest.total_bytes}`;
  }
  return codecProblem(manifest);
}

function plainChunkProblem({ size, sha256, part_size, parts, frames }: ManifestChunk, index: number) {
  if (sha256 === undefined) return `chunks.${index}.sha256: is missing`;
  if (frames) return `chunk ${index} has frames, but there is no codec`;
  const partBytes = part_size ?? size;
  if (parts && parts.length !== Math.ceil(size / partBytes)) {
    return `chunk ${index} lists ${parts.length} parts, which does not fit its size`;
  }
  // A part is held in memory whole.
  if (parts && partBytes > S3_LIMITS.maxPartBytes) return `chunk ${index} is one part of more than 5 GiB`;
  return undefined;
}

function encodedChunkProblem(chunk: ManifestChunk, index: number): string | undefined {
  const { size, parts, frames } = chunk;
  if (!parts || !frames) return `chunk ${index} is encoded, but lists no ${parts ? 'frames' : 'parts'}`;
  if (frames.some((frame) => frame.size > largestFrameBytes(frame.plain_size))) {
    return `chunk ${index} has a frame that is larger than its bytes can be`;
  }
  const bytes = frames.reduce((sum, frame) => sum + frame.size, 0);
  if (bytes !== size) return `the frames of chunk ${index} add up to ${bytes} bytes, but it has ${size}`;
  if (parts.length !== partRangesOf(chunk).length) {
    return `chunk ${index} lists ${parts.length} parts, which does not fit its frames`;
  }
  return undefined;
}

/** What an encoded backup has to say of the bytes that its frames make. */
function codecProblem({ codec = PLAIN, stream, sealed, chunks }: Manifest): string | undefined {
  const isEncrypted = codec.encrypt !== 'none';
  if (!isEncrypted && sealed !== undefined) return 'it has sealed digests, but is not encrypted';
  if (isEncrypted && sealed === undefined) return 'it is encrypted, but has no sealed digests';
  if (!isEncrypted && stream && stream.sha256 === undefined) return 'stream.sha256: is missing';
  if (!isEncoded(codec)) return undefined;
  if (!stream) return 'it is encoded, but says nothing of its stream';
  const frames = chunks.flatMap((chunk) => chunk.frames ?? []);
  if (frames.length > MAX_FRAMES) return `it has ${frames.length} frames, which are too many`;
  const bytes = frames.reduce((sum, frame) => sum + frame.plain_size, 0);
  if (bytes === stream.bytes) return undefined;
  return `its frames make ${bytes} bytes, but stream.bytes is ${stream.bytes}`;
}
