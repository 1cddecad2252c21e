import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type ByteSource,
  type Chunk,
  cutIntoChunks,
  type Slot,
  type SlotPool,
  viewsOf,
} from '../../../lib/core/stream/chunker.ts';
import { type Layout, partRanges } from '../../../lib/core/stream/part-sizes.ts';

/** Bytes 1, 2, 3 …, so that no two places of a short stream look alike. */
const bytesUpTo = (length: number) => Uint8Array.from({ length }, (_, index) => (index + 1) % 251);

/** A source that gets its bytes in pieces of the given sizes, and reports each. */
function sourceOf(data: Uint8Array, pieceSizes: readonly number[]): ByteSource {
  let at = 0;
  let piece = 0;
  let ended = false;
  return {
    async fill(target, onFilled) {
      assert.equal(ended, false, 'nothing is asked for after the end');
      let filled = 0;
      while (filled < target.length && at < data.length) {
        const wanted = pieceSizes[piece++ % pieceSizes.length] ?? 1;
        const taken = Math.min(wanted, target.length - filled, data.length - at);
        target.set(data.subarray(at, at + taken), filled);
        await Promise.resolve();
        onFilled?.(filled, filled + taken);
        filled += taken;
        at += taken;
      }
      ended = at === data.length;
      return { bytes: filled, ended };
    },
  };
}

/** A pool that remembers how many of its slots were out at once. */
class CountingPool implements SlotPool {
  readonly #free: Slot[];
  readonly #waiting: ((slot: Slot) => void)[] = [];
  readonly count: number;
  out = 0;
  mostOut = 0;

  constructor(count: number, sizeBytes: number, pieceBytes = sizeBytes) {
    this.count = count;
    this.#free = Array.from({ length: count }, (_, index) => {
      const pieces = partRanges(sizeBytes, pieceBytes).map(({ length }) => new Uint8Array(length));
      return { index, pieces, bytes: pieces[0] ?? new Uint8Array(0) };
    });
  }

  async acquire(): Promise<Slot> {
    const slot = this.#free.pop() ?? (await new Promise<Slot>((resolve) => this.#waiting.push(resolve)));
    this.mostOut = Math.max(this.mostOut, ++this.out);
    return slot;
  }

  release(slot: Slot): void {
    this.out--;
    const next = this.#waiting.shift();
    if (next) next(slot);
    else this.#free.push(slot);
  }
}

interface CutPart {
  readonly chunkIndex: number;
  readonly number: number;
  readonly bytes: readonly number[];
  readonly endsChunk: boolean;
}

/** Cuts everything; each part is given back at once. */
async function cutAll(
  data: Uint8Array,
  layout: Layout,
  pieceSizes: readonly number[] = [7],
  pool = new CountingPool(2, layout.partSizeBytes),
): Promise<{ readonly chunks: readonly (readonly CutPart[])[]; readonly reported: readonly number[] }> {
  const chunks: CutPart[][] = [];
  const reported: number[] = [];
  const bytesOf = ({ pieces }: Slot, from: number, to: number) =>
    viewsOf(pieces, from, to).flatMap((view) => [...view]);
  const report = (slot: Slot, from: number, to: number) => void reported.push(...bytesOf(slot, from, to));
  for await (const { index, parts } of cutIntoChunks(sourceOf(data, pieceSizes), pool, layout, report)) {
    assert.equal(index, chunks.length);
    const cut: CutPart[] = [];
    for await (const { chunkIndex, number, slot, sizeBytes, endsChunk } of parts) {
      cut.push({ chunkIndex, number, bytes: bytesOf(slot, 0, sizeBytes), endsChunk });
      pool.release(slot);
    }
    chunks.push(cut);
  }
  assert.equal(pool.out, 0, 'every slot was given back');
  return { chunks, reported };
}

const sizeOf = (parts: readonly CutPart[]) => parts.reduce((sum, part) => sum + part.bytes.length, 0);

/** Part and chunk sizes, a stream, and the sizes of the pieces in which it comes. */
const anything = fc.record({
  layout: fc
    .record({ partSizeBytes: fc.integer({ min: 1, max: 20 }), extra: fc.integer({ min: 0, max: 50 }) })
    .map(({ partSizeBytes, extra }) => ({ partSizeBytes, chunkSizeBytes: partSizeBytes + extra })),
  data: fc.integer({ min: 0, max: 400 }).map(bytesUpTo),
  pieceSizes: fc.array(fc.integer({ min: 1, max: 64 }), { minLength: 1, maxLength: 5 }),
});

test('joined again, the parts are the stream, whatever the layout, the pieces of a slot and how it arrives', async () => {
  await fc.assert(
    fc.asyncProperty(anything, fc.integer({ min: 1, max: 25 }), async (any, slotPieceBytes) => {
      const { layout, data, pieceSizes } = any;
      const pool = new CountingPool(2, layout.partSizeBytes, slotPieceBytes);
      const { chunks, reported } = await cutAll(data, layout, pieceSizes, pool);
      assert.deepEqual(
        chunks.flat().flatMap((part) => part.bytes),
        [...data],
      );
      assert.deepEqual(reported, [...data], 'what is reported for hashing is the stream too');
    }),
  );
});

test('all chunks are of the same size but the last, and all parts of a chunk but its last', async () => {
  await fc.assert(
    fc.asyncProperty(anything, async ({ layout, data }) => {
      const { chunks } = await cutAll(data, layout);
      assert.equal(chunks.length, Math.max(1, Math.ceil(data.length / layout.chunkSizeBytes)));
      for (const parts of chunks.slice(0, -1)) assert.equal(sizeOf(parts), layout.chunkSizeBytes);
      for (const part of chunks.flatMap((parts) => parts.slice(0, -1)))
        assert.equal(part.bytes.length, layout.partSizeBytes);
    }),
  );
});

test('part numbers count from 1 in each chunk, and only the last part of a chunk ends it', async () => {
  await fc.assert(
    fc.asyncProperty(anything, async ({ layout, data }) => {
      for (const [index, parts] of (await cutAll(data, layout)).chunks.entries()) {
        const seen = parts.map(({ chunkIndex, number, endsChunk }) => ({ chunkIndex, number, endsChunk }));
        const expected = parts.map((_, at) => ({
          chunkIndex: index,
          number: at + 1,
          endsChunk: at === parts.length - 1,
        }));
        assert.deepEqual(seen, expected);
      }
    }),
  );
});

const layout = { chunkSizeBytes: 30, partSizeBytes: 10 };

for (const [what, length, sizes] of [
  ['one byte', 1, [[1]]],
  ['one byte less than a part', 9, [[9]]],
  ['exactly one part', 10, [[10]]],
  ['one byte more than a part', 11, [[10, 1]]],
  ['one byte less than a chunk', 29, [[10, 10, 9]]],
  ['exactly one chunk', 30, [[10, 10, 10]]],
  ['one byte more than a chunk', 31, [[10, 10, 10], [1]]],
  [
    'exactly two chunks',
    60,
    [
      [10, 10, 10],
      [10, 10, 10],
    ],
  ],
] as const) {
  test(`a stream of ${what} is cut into ${JSON.stringify(sizes)}`, async () => {
    const { chunks } = await cutAll(bytesUpTo(length), layout);
    assert.deepEqual(
      chunks.map((parts) => parts.map((part) => part.bytes.length)),
      sizes,
    );
  });
}

test('a chunk that is no multiple of the part ends with a shorter part', async () => {
  const { chunks } = await cutAll(bytesUpTo(60), { chunkSizeBytes: 25, partSizeBytes: 10 });
  assert.deepEqual(
    chunks.map((parts) => parts.map((part) => part.bytes.length)),
    [[10, 10, 5], [10, 10, 5], [10]],
  );
});

test('an empty stream is one chunk without parts, and keeps no slot', async () => {
  assert.deepEqual((await cutAll(new Uint8Array(), layout)).chunks, [[]]);
});

test('asking for the next chunk before the last was read to its end is an error', async () => {
  for (const readParts of [0, 1, 2]) {
    const pool = new CountingPool(4, 10);
    const chunks = cutIntoChunks(sourceOf(bytesUpTo(100), [7]), pool, layout, () => undefined);
    const { value: chunk } = (await chunks.next()) as { readonly value: Chunk };
    const parts = chunk.parts[Symbol.asyncIterator]();
    for (let read = 0; read < readParts; read++) await parts.next();
    await assert.rejects(chunks.next(), /chunk 0 was not read to its end/, `${readParts} parts read`);
  }
});

test('the next chunk can be asked for while the parts of the last are still held', async () => {
  const pool = new CountingPool(4, 10);
  const chunks = cutIntoChunks(sourceOf(bytesUpTo(40), [7]), pool, layout, () => undefined);
  const { value: chunk } = (await chunks.next()) as { readonly value: Chunk };
  for await (const _ of chunk.parts);
  assert.equal((await chunks.next()).done, false);
});

test('a source that fails is reported at the part it failed in, and nothing is rejected unseen', async () => {
  for (const failAt of [0, 1, 3, 4]) {
    let fills = 0;
    const good = sourceOf(bytesUpTo(1000), [7]);
    const source: ByteSource = {
      fill: (target, onFilled) =>
        fills++ === failAt ? Promise.reject(new Error('the source broke')) : good.fill(target, onFilled),
    };
    const pool = new CountingPool(2, 10);
    let parts = 0;
    const reading = (async () => {
      for await (const chunk of cutIntoChunks(source, pool, layout, () => undefined)) {
        for await (const part of chunk.parts) {
          parts++;
          pool.release(part.slot);
        }
      }
    })();
    await assert.rejects(reading, /the source broke/);
    assert.equal(parts, failAt);
  }
  // node:test fails this test if a rejection is left without a handler by now.
  await new Promise((resolve) => setImmediate(resolve));
});

test('never more slots are out than the pool has, and a slow receiver holds the cutting back', async () => {
  await fc.assert(
    fc.asyncProperty(anything, fc.integer({ min: 1, max: 5 }), async ({ layout: cut, data }, slots) => {
      const pool = new CountingPool(slots, cut.partSizeBytes);
      const held: Slot[] = [];
      let received = 0;
      for await (const { parts } of cutIntoChunks(sourceOf(data, [7]), pool, cut, () => undefined)) {
        for await (const part of parts) {
          received += part.sizeBytes;
          held.push(part.slot);
          if (held.length === slots)
            for (const slot of held.splice(0)) setImmediate(() => pool.release(slot));
        }
      }
      assert.equal(received, data.length);
      assert.ok(pool.mostOut <= slots, `${pool.mostOut} of ${slots}`);
    }),
    { numRuns: 50 },
  );
});

test('with all slots out, the source is not asked for more', async () => {
  let fills = 0;
  const good = sourceOf(bytesUpTo(1000), [7]);
  const source: ByteSource = {
    fill(target, onFilled) {
      fills++;
      return good.fill(target, onFilled);
    },
  };
  const pool = new CountingPool(2, 10);
  const chunks = cutIntoChunks(source, pool, { chunkSizeBytes: 1000, partSizeBytes: 10 }, () => undefined);
  const { value: chunk } = (await chunks.next()) as { readonly value: Chunk };
  const parts = chunk.parts[Symbol.asyncIterator]();
  const first = (await parts.next()).value;
  await parts.next();
  const third = parts.next();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(fills, 2);
  pool.release(first.slot);
  assert.equal((await third).value.number, 3);
});
