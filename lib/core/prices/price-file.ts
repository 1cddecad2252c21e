/** config/prices.json, and a file of one's own that PRICES names: what S3 charges, by region and storage class. */
import { z } from 'zod';
import { ToolError } from '../errors.ts';

const price = z.number().nonnegative();

const retrieval = z.strictObject({ per_gib: price, per_1000: price });

const classPrices = z.strictObject({
  /** A GiB for a month. */
  storage_gib_month: price,
  /** 1,000 PUT, COPY, POST or LIST requests. */
  put_per_1000: price.optional(),
  /** 1,000 GET requests. */
  get_per_1000: price.optional(),
  /** Reading what is stored, by tier; classes that are read at once have Standard alone. Without it reading is free. */
  retrieval: z
    .strictObject({
      Bulk: retrieval.optional(),
      Standard: retrieval.optional(),
      Expedited: retrieval.optional(),
    })
    .optional(),
});

const regionPrices = z.strictObject({
  /** When the prices were looked up, and where. */
  date: z.string().min(4),
  source: z.string().min(1),
  /** Bytes that leave for the internet. */
  transfer_out: z
    .strictObject({
      free_gib_per_month: price,
      /** From cheap volumes to large ones; the last has no bound. */
      per_gib: z.array(z.strictObject({ up_to_gib: price.optional(), price })).min(1),
    })
    .optional(),
  classes: z.record(z.string(), classPrices),
});

export const priceFileSchema = z.strictObject({
  currency: z.literal('USD'),
  regions: z.record(z.string(), regionPrices),
});

export type RegionPrices = z.output<typeof regionPrices>;
export type PriceFile = z.output<typeof priceFileSchema>;

/** Reads a price file. @throws ToolError (usage) with the first thing that is wrong with it */
export function parsePriceFile(text: string, name: string): PriceFile {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw unusable(name, 'it is not JSON', cause);
  }
  const { data, error } = priceFileSchema.safeParse(json);
  if (data) return data;
  const [issue] = error.issues;
  throw unusable(name, `${issue?.path.join('.') || 'it'}: ${issue?.message}`, error);
}

function unusable(name: string, why: string, cause: unknown): ToolError {
  return new ToolError(`the price file ${name} cannot be used: ${why}`, {
    kind: 'usage',
    hint: 'config/prices.json shows what one looks like',
    cause,
  });
}

/**
 * The prices of a region; undefined where none are known.
 * @param own a file of the user's, which may be for any provider
 * @param builtIn AWS's prices
 */
export function pricesFor(
  { region, isAws }: { readonly region: string; readonly isAws: boolean },
  own: PriceFile | undefined,
  builtIn: PriceFile,
): RegionPrices | undefined {
  return own?.regions[region] ?? (isAws ? builtIn.regions[region] : undefined);
}
