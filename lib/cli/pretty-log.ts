/** Log lines for people. Loaded only where a person reads them: it takes as long to load as pino itself. */
import type { DestinationStream } from 'pino';
import pretty from 'pino-pretty';
import { printable } from '../core/printable.ts';
import { clearLines } from './bottom-lines.ts';

/** Turns pino's JSON lines into text, and writes it to `destination`. */
export function forPeople(destination: DestinationStream): DestinationStream {
  return pretty({
    colorize: process.stderr.isTTY === true,
    ignore: 'pid,hostname,time,script,kind,hint,childOutput',
    messageFormat: (record, key) => {
      clearLines();
      const below = String(record.childOutput ?? '');
      const lines = [String(record[key]), ...below.split('\n').filter((line) => line !== '')];
      return lines.map(printable).join('\n    ');
    },
    destination,
  });
}
