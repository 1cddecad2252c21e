/** Backups and their stages, as the scripts run them; what was uploaded and published is recorded. */
import { describeError, ToolError } from '../../../lib/core/errors.ts';
import type { BackupKind } from '../../../lib/core/format/names.ts';
import { publishBackup } from '../../../lib/stage/backup/publish/publish.ts';
import { prepareSnapshot } from '../../../lib/stage/backup/snapshot.ts';
import { uploadSnapshot } from '../../../lib/stage/backup/upload/upload.ts';
import type { StageContext } from '../../../lib/stage/context.ts';
import type { FaultRule } from '../../../testing/s3-server/faults/fault-rules.ts';
import { brokenPoints } from './bucket-view.ts';
import { isSubvolume } from './commands.ts';
import { chance, choose } from './edit.ts';
import { type HistoryWorld, readPlanned } from './history-world.ts';
import { type Action, PropertyFailure, type Steps } from './step.ts';

type Kind = BackupKind | 'auto';

/** What a stage did, or why it did not. */
type Outcome<Result> = { readonly result: Result } | { readonly refused: string };

const namesOfRun = /\d{8}T\d{6}Z|[0-9a-f]{8}-[0-9a-f-]{27}|history-\d+|\/\S+/g;

/** Runs a stage; an error that is made for users is an outcome, any other one is a failure of the program. */
async function attempt<Result>(
  world: HistoryWorld,
  stage: string,
  work: () => Promise<Result>,
  signal?: AbortSignal,
): Promise<Outcome<Result>> {
  try {
    return { result: await work() };
  } catch (thrown) {
    // As the scripts have it: whatever a stopped run stumbles over, it was stopped.
    const error: unknown = signal?.aborted ? signal.reason : thrown;
    if (!(error instanceof ToolError)) {
      throw new PropertyFailure(`${stage} broke: ${error instanceof Error ? error.stack : String(error)}`);
    }
    const refused = [describeError(error), ...(error.childOutput ? [error.childOutput] : [])].join('; ');
    const message = `${stage}: ${refused.replaceAll(namesOfRun, '…')}`;
    world.tally.count('refusals', message);
    return { refused };
  }
}

/** Plans, and takes or adopts a snapshot. */
async function prepare(world: HistoryWorld, kind: Kind): Promise<Outcome<string>> {
  const outcome = await attempt(world, 'snapshot', () =>
    prepareSnapshot(world.context, world.selected, { kind, ifDue: false, dryRun: false }),
  );
  // Two backups in a second would wait for each other.
  world.counters.clockMs += 2000;
  if ('refused' in outcome) return outcome;
  world.lostWhenPlanned = new Set(world.lost);
  const plan = outcome.result;
  return { result: 'next' in plan ? 'nothing due' : `${plan.kind}, ${plan.reason}` };
}

/** Uploads what is prepared; the tree of the snapshot is recorded from the snapshot itself, before. */
async function upload(world: HistoryWorld, context: StageContext = world.context): Promise<Outcome<string>> {
  const planned = await readPlanned(world);
  const isHere = planned !== undefined && (await isSubvolume(planned.path));
  const truth = isHere ? await world.ground.hands.walk(planned.path) : undefined;
  const outcome = await attempt(
    world,
    'upload',
    () => uploadSnapshot(context, world.selected),
    context.signal,
  );
  if ('refused' in outcome) return outcome;
  if (!outcome.result.alreadyDone) {
    if (!planned || !truth) throw new PropertyFailure('an upload succeeded without a snapshot to send');
    world.uploaded.set(planned.id, truth);
  }
  return { result: outcome.result.alreadyDone ? 'uploaded already' : 'uploaded' };
}

/** Publishes what is uploaded. */
async function publish(world: HistoryWorld): Promise<Outcome<string>> {
  const outcome = await attempt(world, 'publish', () => publishBackup(world.context, world.selected));
  if ('refused' in outcome) return outcome;
  const { manifestKey: key, manifest } = outcome.result;
  const truth = world.uploaded.get(`${manifest.snapshot.uuid} ${manifest.created_at}`);
  if (!truth) throw new PropertyFailure(`${key} is published, but was not uploaded`);
  world.points.push({ key, manifest, truth });
  world.tally.count('backups', manifest.kind);
  const broken = await brokenPoints(world, world.lostWhenPlanned);
  if (broken.has(key))
    throw new PropertyFailure(`dead chain: ${key} was published on what had been lost before`);
  return { result: `published as ${manifest.kind} ${manifest.created_at}` };
}

const say = (outcome: Outcome<string>) =>
  'refused' in outcome ? `refused (${outcome.refused})` : outcome.result;

/** The three stages, as far as they succeed. */
export async function backUp(world: HistoryWorld, kind: Kind): Promise<string> {
  const said: string[] = [];
  for (const stage of [() => prepare(world, kind), () => upload(world), () => publish(world)]) {
    const outcome = await stage();
    said.push(say(outcome));
    if ('refused' in outcome || outcome.result.startsWith('none')) break;
  }
  return `make backup KIND=${kind}: ${said.join('; ')}`;
}

const chooseKind = (random: Parameters<Action>[1]): Kind =>
  chance(random, 80) ? 'auto' : chance(random, 50) ? 'full' : 'incremental';

const backup: Action = (world, random) => backUp(world, chooseKind(random));

const prepareOnly: Action = async (world, random) => {
  const kind = chooseKind(random);
  return `make snapshot KIND=${kind}: ${say(await prepare(world, kind))}`;
};

const uploadOnly: Action = async (world) => `make upload: ${say(await upload(world))}`;

const publishOnly: Action = async (world) => `make publish: ${say(await publish(world))}`;

/** An upload that is stopped after a while, or as soon as it has sent something. */
const stoppedUpload: Action = async (world, random) => {
  const controller = new AbortController();
  const stop = () => controller.abort(new ToolError('stopped by SIGINT', { kind: 'interrupted' }));
  const afterMs = chance(random, 50) ? random.below(60) : undefined;
  const timer = afterMs === undefined ? undefined : setTimeout(stop, afterMs);
  const startProgress: StageContext['startProgress'] = () => ({
    expect: () => undefined,
    add: () => afterMs === undefined && stop(),
    waitFor: () => undefined,
    stop: () => undefined,
  });
  const outcome = await upload(world, { ...world.context, signal: controller.signal, startProgress });
  clearTimeout(timer);
  return `make upload, stopped ${afterMs === undefined ? 'with the first bytes' : `after ${afterMs} ms`}: ${say(outcome)}`;
};

const writes = ['PutObject', 'UploadPart', 'CreateMultipartUpload', 'CompleteMultipartUpload'] as const;
const faults = [
  { fault: 'error', code: 'ExpiredToken' },
  { fault: 'error', code: 'InternalError' },
  { fault: 'lost-response' },
  { fault: 'reset-after' },
  { fault: 'reset-before' },
] as const satisfies readonly FaultRule[];

/** Runs a stage with faults in what it writes: some pass after a try or two, others last as long as the stage. */
async function withFaults(
  { ground: { server } }: HistoryWorld,
  random: Parameters<Action>[1],
  key: string,
  work: () => Promise<string>,
): Promise<string> {
  const fault = choose(random, faults) ?? faults[0];
  const count = chance(random, 50) ? { next: 1 + random.below(2) } : { every: 1 };
  server.faults.set([{ ...fault, ...count, operation: writes, key, skip: random.below(3) }]);
  try {
    const said = await work();
    const [status] = server.faults.list();
    return `${said} (${status?.fired ?? 0} times ${JSON.stringify(fault)} at ${key})`;
  } finally {
    server.faults.clear();
  }
}

const uploadWithFaults: Action = (world, random) =>
  withFaults(world, random, '*.bin', async () => `make upload: ${say(await upload(world))}`);

const publishWithFaults: Action = (world, random) =>
  withFaults(world, random, '*.json', async () => `make publish: ${say(await publish(world))}`);

/** The steps, by name. Those of a backup in stages come in their order, with others between them. */
export const backupSteps = {
  backup: { action: backup, weight: 10 },
  prepare: { action: prepareOnly, weight: 1 },
  upload: { action: uploadOnly, weight: 1 },
  publish: { action: publishOnly, weight: 1 },
  'stopped-upload': { action: stoppedUpload, weight: 1 },
  'upload-with-faults': { action: uploadWithFaults, weight: 1 },
  'publish-with-faults': { action: publishWithFaults, weight: 1 },
} as const satisfies Steps;
