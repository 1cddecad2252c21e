/**
 * Reports a run: pings at its start and end, the record in RUN_DIR, METRICS_FILE, NOTIFY_COMMAND. None of it can fail a run, and each
 * has a limit of time.
 */
import type { Logger } from 'pino';
import { describeError, ToolError } from '../../core/errors.ts';
import type { SettingValues } from '../../core/settings/settings.ts';
import { formatDuration } from '../../core/units.ts';
import { isFailure, isStopped, type RunFacts, recordRun } from '../../core/watch/run-record.ts';
import { pathExists } from '../../edge/files/files.ts';
import { WatchFiles } from '../../edge/files/watch-files.ts';
import { endingWithin } from '../../edge/process/abort-scope.ts';
import type { StageContext } from '../../stage/context.ts';
import type { WatchedCommand } from './watched-commands.ts';

/** Where it is reported. */
export interface RunWatchOptions {
  readonly watched: WatchedCommand;
  readonly values: SettingValues;
  readonly log: Logger;
  readonly hostName: string;
  /** False for a run of some subvolumes only. */
  readonly isWhole: boolean;
  /** The errors that were logged so far, each a line. */
  readonly errors: readonly string[];
}

/** A request for the metrics is repeated that long at most: a run that failed because the bucket cannot be reached has waited enough. */
const retryForMs = 30_000;

/**
 * As long as the whole look may take while the bucket answers: it reads every manifest, which are 100 MiB and more for terabytes in parts
 * of 32 MiB, and the network may be slow. The lock is held, and the ping waits, so long.
 */
const lookForMs = 900_000;

/** The watch over one run. */
export class RunWatch {
  readonly #options: RunWatchOptions;
  readonly #files: WatchFiles;
  readonly #startedAt = new Date();
  readonly #facts = new Map<string, RunFacts>();
  #isSkipped = false;
  #started: Promise<void> = Promise.resolve();

  constructor(options: RunWatchOptions) {
    this.#options = options;
    this.#files = new WatchFiles(options.values.RUN_DIR);
  }

  /** Pings that the run has started; nothing waits for it. */
  start(): void {
    if (this.#options.watched.pings === 'all') this.#started = this.#ping('start', '');
  }

  /** Notes what the run found out of a subvolume. */
  note(subvolume: string, facts: RunFacts): void {
    this.#facts.set(subvolume, facts);
  }

  /** Nothing was due: there is no run to speak of. */
  skip(): void {
    this.#isSkipped = true;
  }

  /** Looks how the bucket is after the run, where METRICS_FILE wants to know. */
  async look(context: StageContext): Promise<void> {
    if (!this.#options.values.METRICS_FILE || this.#isSkipped) return;
    await this.#unharmed('cannot look at the bucket for METRICS_FILE', async () => {
      const { updateHealth } = await import('../../stage/watch/health/update-health.ts');
      const { ending, signal } = endingWithin(context.signal);
      const late = new ToolError(`the time limit of ${formatDuration(lookForMs / 1000)} was reached`, {
        hint: 'METRICS_FILE keeps what the last look found',
      });
      const timer = setTimeout(() => ending.abort(late), lookForMs);
      const bucket = { ...context.bucket, signal, retrier: context.bucket.retrier.within(retryForMs) };
      try {
        await updateHealth({ ...context, signal, bucket }, this.#files);
      } finally {
        clearTimeout(timer);
        ending.abort();
      }
    });
  }

  /** Reports how the run ended. */
  async end(exitCode: number): Promise<void> {
    if (this.#isSkipped && exitCode === 0) return;
    const { watched, errors } = this.#options;
    // Who verifies need not be root: that RUN_DIR cannot be written then matters only to METRICS_FILE.
    const level = this.#options.values.METRICS_FILE ? 'warn' : 'debug';
    await this.#unharmed('cannot record this run', () => this.#record(exitCode), level);
    await this.#started;
    if (isStopped(exitCode)) return;
    const failed = isFailure(watched, exitCode);
    const text =
      errors.length > 0 ? errors.join('\n') : `${watched.command} ended with exit code ${exitCode}`;
    if (failed ? watched.pings !== 'none' : watched.pings === 'all') {
      await this.#ping(failed ? 'fail' : 'success', text);
    }
    if (watched.pings !== 'none') await this.#notify(failed, exitCode, text);
  }

  /** Without RUN_DIR this host is not watched: a bucket is only looked at from here. */
  async #record(exitCode: number): Promise<void> {
    const { watched, values, errors } = this.#options;
    const { METRICS_FILE, RUN_DIR } = values;
    if (!METRICS_FILE && !(await pathExists(RUN_DIR))) return;
    const run = {
      command: watched.command,
      place: this.#place,
      started_at: this.#startedAt.toISOString(),
      finished_at: new Date().toISOString(),
      exit_code: exitCode,
      isWhole: this.#options.isWhole,
      problem: errors.at(-1) ?? null,
    };
    await this.#files.writeRun(recordRun(await this.#files.readRun(watched.command), run, this.#facts));
    if (!METRICS_FILE) return;
    const { writeMetrics } = await import('./write-metrics.ts');
    await writeMetrics(this.#files, values, this.#options.hostName);
  }

  get #place(): string {
    const { values, hostName } = this.#options;
    return `${values.S3_BUCKET}/${values.S3_PREFIX ?? hostName}`;
  }

  async #ping(signal: 'start' | 'success' | 'fail', body: string): Promise<void> {
    const { values } = this.#options;
    if (!values.NOTIFY_URL) return;
    await this.#unharmed('', async () => {
      const { ping } = await import('../../edge/notify/ping.ts');
      await ping({ url: values.NOTIFY_URL, signal, body }, values);
    });
  }

  async #notify(failed: boolean, exitCode: number, text: string): Promise<void> {
    const { watched, values, hostName } = this.#options;
    if (!values.NOTIFY_COMMAND) return;
    const variables = {
      RESULT: failed ? 'failure' : 'success',
      COMMAND: watched.command,
      EXIT_CODE: String(exitCode),
      HOST: hostName,
      MESSAGE: text.split('\n').at(-1) ?? '',
    };
    await this.#unharmed('', async () => {
      const { runNotifyCommand } = await import('../../edge/notify/notify-command.ts');
      await runNotifyCommand(values.NOTIFY_COMMAND, { variables, text });
    });
  }

  /** A backup does not fail because it cannot be reported. */
  async #unharmed(
    what: string,
    work: () => Promise<unknown>,
    level: 'warn' | 'debug' = 'warn',
  ): Promise<void> {
    try {
      await work();
    } catch (error) {
      const words = describeError(error);
      this.#options.log[level](
        `${what === '' ? words : `${what}: ${words}`}; the run itself is not affected`,
      );
    }
  }
}
