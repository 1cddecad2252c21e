/** A setting of the server that is against its rules, whichever way it came: option, command line or control endpoint. */
import type { z } from 'zod';

/** Says what is wrong with a setting; the control endpoint answers it with 400. */
export class InvalidSetting extends Error {
  readonly statusCode = 400;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'InvalidSetting';
  }
}

/**
 * Reads a setting by its schema.
 * @param what the name that the words of the error begin with
 * @throws InvalidSetting with every fault of the value, each with its place
 */
export function readSetting<Schema extends z.ZodType>(
  what: string,
  schema: Schema,
  value: unknown,
): z.infer<Schema> {
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    const issues = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'value'}: ${message}`);
    throw new InvalidSetting(`${what}: ${issues.join('; ')}`, { cause: parsed.error });
  }
  return parsed.data;
}
