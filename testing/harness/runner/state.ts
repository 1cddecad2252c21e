/**
 * What setup recorded of a run: written before anything is made, so that whatever kills the run, the next one and teardown
 * know what to undo, and nothing else is undone.
 */
import { readdir, readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { ToolError } from '../../../lib/core/errors.ts';
import { pathExists, writeJsonFile } from '../../../lib/edge/files/files.ts';
import { type Feature, features } from '../servers/features.ts';
import { serverKinds } from './harness-settings.ts';
import { type Places, subvolumeNames, transient } from './places.ts';

const backup = z.object({
  subvolume: z.enum(subvolumeNames),
  kind: z.enum(['full', 'incremental']),
  manifest_key: z.string(),
  created_at: z.string(),
});

/** One backup as the harness saw it being published. */
export type RecordedBackup = z.output<typeof backup>;

const schema = z.object({
  /** The harness settings that it was set up with. */
  config: z.string(),
  started_at: z.string(),
  /** Names in the run's directory that setup is going to make. */
  made: z.array(z.enum(transient)),
  /** Undefined without S3. */
  s3: z
    .object({
      server: z.enum(serverKinds),
      lacks: z.array(z.custom<Feature>((name) => Object.hasOwn(features, `${name}`))),
    })
    .optional(),
  /** Rounds of changes so far. */
  rounds: z.int(),
  backups: z.array(backup),
});

export type State = z.output<typeof schema>;

/** The record of the run, or undefined when nothing is set up. @throws ToolError when it is damaged */
export async function readState({ state }: Places): Promise<State | undefined> {
  if (!(await pathExists(state))) return undefined;
  try {
    return schema.parse(JSON.parse(await readFile(state, 'utf8')));
  } catch (cause) {
    throw new ToolError(`${state} cannot be understood`, {
      hint: 'look what is mounted and running, undo it by hand, and remove the file',
      cause,
    });
  }
}

/** Replaces the record, so that a reader finds the old one or the new one. */
export async function writeState({ state }: Places, value: State): Promise<void> {
  await writeJsonFile(state, value);
}

/** Forgets the run, and what a killed writeState left of it. */
export async function removeState({ runDirectory, state }: Places): Promise<void> {
  await rm(state, { force: true });
  for (const name of await readdir(runDirectory)) {
    if (name.startsWith(`${basename(state)}.`)) await rm(join(runDirectory, name));
  }
}
