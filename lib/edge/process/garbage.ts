/**
 * Garbage that V8 would let pile up, because it has no reason of its own to hurry. A run promises 120 MiB beside its
 * parts, so it is collected in time: `make memory` measures what this is worth.
 */
import { MIB } from '../../core/units.ts';

/** V8 sees only the small handles of network buffers: 30 MiB of them pile up otherwise (measured). */
const minorEveryBytes = 4 * MIB;

/** A request leaves 0.1 MiB behind that has lived too long for a minor collection (measured). */
const majorEveryRequests = 50;

let receivedBytes = 0;
let requests = 0;

/** Counts buffers that came from the network and were used up. @param bytes their size */
export function noteReceivedBytes(bytes: number): void {
  receivedBytes += bytes;
  if (receivedBytes < minorEveryBytes) return;
  receivedBytes = 0;
  collect('minor');
}

/** Says that a request is done. */
export function noteRequest(): void {
  requests++;
  if (requests % majorEveryRequests === 0) collect('major');
}

/** Collects everything: parts that are no longer used, before others are allocated. */
export function collectGarbage(): void {
  collect('major');
}

/** V8's collector, which node offers with `--expose-gc`, one of the flags of scripts/tsx.sh; without it V8 collects when it likes. */
function collect(type: 'minor' | 'major'): void {
  // Node 20 takes `major` for minor too; without a type everything is collected.
  if (type === 'minor') globalThis.gc?.({ type });
  else globalThis.gc?.();
}
