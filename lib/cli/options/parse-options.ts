/** A script's flags, checked before anything else happens. */
import { parseArgs } from 'node:util';
import { ToolError } from '../../core/errors.ts';
import { codeOf } from '../../edge/files/files.ts';
import { commonOptions, type OptionDefinition } from './help.ts';

/** Values of a script's own options: text, or `true` for a flag that is given. */
export type OptionValues<Name extends string> = Readonly<Partial<Record<Name, string>>>;

/** The command line of a script. */
export interface ParsedOptions<Name extends string> {
  readonly own: OptionValues<Name>;
  readonly config: string;
  /** `KEY=VALUE` pairs. */
  readonly sets: readonly string[];
  readonly json: boolean;
  readonly help: boolean;
}

/**
 * Reads the flags; the last of several wins.
 * @throws ToolError (usage) for anything that `--help` does not name.
 */
export function parseOptions<Name extends string>(
  file: string,
  definitions: Readonly<Record<Name, OptionDefinition>>,
): ParsedOptions<Name> {
  const own: Readonly<Record<string, OptionDefinition>> = definitions;
  const options = Object.fromEntries(
    Object.entries({ ...own, ...commonOptions }).map(([name, { type }]) => [
      name,
      { type, multiple: true as const },
    ]),
  );
  const values = parse(file, options);
  const last = (name: string) => values.get(name)?.at(-1);
  const given = Object.keys(own).flatMap((name) => {
    const value = last(name);
    return value === undefined ? [] : [[name, value]];
  });
  const pairs = (last('sets') ?? '').split(/\s+/).filter((pair) => pair !== '');
  return {
    own: Object.fromEntries(given),
    config: last('config') ?? 'config/backup.env',
    sets: [...(values.get('set') ?? []), ...pairs],
    json: values.has('json'),
    help: values.has('help'),
  };
}

function parse(
  file: string,
  options: Record<string, { type: 'string' | 'boolean'; multiple: true }>,
): ReadonlyMap<string, readonly string[]> {
  try {
    const { values } = parseArgs({ options, allowPositionals: false });
    refuseOtherBytes(file, process.argv);
    return new Map(Object.entries(values).map(([name, list]) => [name, (list ?? []).map(String)]));
  } catch (cause) {
    if (cause instanceof ToolError) throw cause;
    throw new ToolError(reasonOf(cause), {
      kind: 'usage',
      hint: `see: node --import tsx scripts/${file} --help`,
      cause,
    });
  }
}

function reasonOf(cause: unknown): string {
  // Never the argument itself: it may be a secret, placed there by mistake.
  if (codeOf(cause) === 'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL') return 'an argument has no option before it';
  // Node explains itself in further sentences, some of them on lines of their own.
  return cause instanceof Error ? (cause.message.split(/\.?\n|\. /)[0] ?? '') : String(cause);
}

/** Node puts U+FFFD for bytes that are not UTF-8: a path with it is not the one that was meant. */
function refuseOtherBytes(file: string, words: readonly string[]): void {
  const word = words.find((text) => text.includes('\uFFFD'));
  if (word === undefined) return;
  throw new ToolError(`"${word}" on the command line has bytes that are not UTF-8`, {
    kind: 'usage',
    hint: `use a path or name in UTF-8; see: node --import tsx scripts/${file} --help`,
  });
}
