/** The prices that are known: those of AWS, which come with the program, and those of the file that PRICES names. */
import { readFile } from 'node:fs/promises';
import builtIn from '../../../config/prices.json' with { type: 'json' };
import {
  parsePriceFile,
  priceFileSchema,
  pricesFor,
  type RegionPrices,
} from '../../core/prices/price-file.ts';
import { fileError } from './files.ts';

/**
 * The prices of a bucket's region; undefined where none are known.
 * @param file the value of PRICES; empty: none
 * @throws ToolError when the file cannot be read, or is none of prices
 */
export async function readPrices(
  file: string,
  place: { readonly region: string; readonly isAws: boolean },
): Promise<RegionPrices | undefined> {
  const own =
    file === ''
      ? undefined
      : parsePriceFile(
          await readFile(file, 'utf8').catch((cause: unknown) => {
            throw fileError(`cannot read the price file ${file}`, cause, 'check PRICES');
          }),
          file,
        );
  return pricesFor(place, own, priceFileSchema.parse(builtIn));
}
