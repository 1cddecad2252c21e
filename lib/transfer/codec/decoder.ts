/** What the chunks of one backup are decoded with; a backup that is not encoded has none. */
import { isEncoded, PLAIN } from '../../core/format/codec.ts';
import type { Manifest, ManifestChunk } from '../../core/format/manifest.ts';
import { parseSealed, type SealedDigests } from '../../core/format/sealed-digests.ts';
import { openSealed } from '../../edge/codec/identity.ts';
import { decodingSteps } from '../../edge/codec/steps.ts';
import type { Fetching, Sink } from '../back/fetching.ts';
import type { Outlet } from '../back/outlet.ts';
import { openDecodingOutlet } from './decoding-outlet.ts';
import { FramePipe } from './frame-pipe.ts';

/** Decodes the chunks of one backup, in their order. */
export interface Decoder {
  /** Where the parts of a chunk go. */
  outlet(chunk: ManifestChunk, sink: Sink, signal: AbortSignal): Outlet;
  /** SHA-256, in hex, of the plain bytes of the chunks so far. */
  readonly sha256: string;
  /** What it has to be in the end. */
  readonly expectedSha256: string | undefined;
  /** To be called when nothing is decoded any more. */
  close(): void;
}

/**
 * Opens the sealed digests of a manifest.
 * @returns undefined where it has none.
 * @throws ToolError: usage when the identity does not open them, damage when they are not those of this manifest
 */
export async function openDigests(manifest: Manifest, identity: string): Promise<SealedDigests | undefined> {
  if (manifest.sealed === undefined) return undefined;
  if (identity === '') throw new Error('an encrypted backup was to be read without DECRYPT_WITH');
  const what = `the backup of ${manifest.subvolume} of ${manifest.created_at}`;
  const text = await openSealed(identity, Buffer.from(manifest.sealed, 'base64'), what);
  return parseSealed(text, manifest, `of ${manifest.subvolume} ${manifest.created_at}`);
}

/**
 * Opens what a backup is decoded with; undefined where it is stored as it is.
 * @throws ToolError as `openDigests` does
 */
export async function openDecoder(
  manifest: Manifest,
  { context: { settings }, plainMemory: memory }: Fetching,
): Promise<Decoder | undefined> {
  const codec = manifest.codec ?? PLAIN;
  if (!isEncoded(codec)) return undefined;
  if (!memory) throw new Error('the memory for plain bytes was not opened');
  const { DECRYPT_WITH: identity, CONCURRENCY: concurrency } = settings;
  const digests = await openDigests(manifest, identity);
  const pipe = await FramePipe.open(() => decodingSteps(codec, identity), concurrency);
  let sha256 = '';
  return {
    outlet(chunk, sink, signal) {
      const index = manifest.chunks.indexOf(chunk);
      const expected = digests && { frames: digests.frames[index] ?? [], chunk: digests.chunks[index] ?? '' };
      const onStreamSha256 = (soFar: string) => {
        sha256 = soFar;
      };
      return openDecodingOutlet({ chunk, pipe, memory, expected, sink, signal, onStreamSha256 });
    },
    get sha256() {
      return sha256;
    },
    expectedSha256: digests?.stream ?? manifest.stream?.sha256,
    close: () => pipe.close(),
  };
}
