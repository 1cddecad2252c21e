/** A whole backup in one process: plan and snapshot, upload, publish, under one lock. */
import { planningOptions, readSnapshotRequest } from '../lib/cli/options/planning-options.ts';
import { rateOption, readRate } from '../lib/cli/options/rate-option.ts';
import { runScript } from '../lib/cli/run-script.ts';

await runScript({
  file: 'backup.ts',
  summary:
    'Backs up each subvolume: plans, takes a read-only snapshot, uploads it and publishes it. One that fails does not stop the others.',
  options: {
    ...planningOptions,
    rate: rateOption,
  },
  needs: 'sources and bucket',
  root: true,
  locked: true,
  async run({ context, options, json, forEachSubvolume, note, event }) {
    const reports = await import('../lib/cli/reports/backup-report.ts');
    const { forecastFields, forecastLines, planPlace } = await import('../lib/cli/reports/plan-forecast.ts');
    const { reportTidying } = await import('../lib/cli/reports/tidy-report.ts');
    const { noteBackups } = await import('../lib/cli/watch/note-backups.ts');
    const { worstOfCodes } = await import('../lib/core/errors.ts');
    const { checkAccess } = await import('../lib/edge/s3/objects.ts');
    const { warnOfAbandoned } = await import('../lib/stage/backup/abandoned-runs.ts');
    const { prepareSnapshot } = await import('../lib/stage/backup/snapshot.ts');
    const { planMemory } = await import('../lib/stage/memory-need.ts');
    const { forecastPlans } = await import('../lib/stage/watch/estimate/plan-forecasts.ts');
    const request = readSnapshotRequest(options);
    const rate = readRate(options.rate);
    await checkAccess(context.bucket);
    await warnOfAbandoned(context);
    const planned = await forEachSubvolume((subvolume) => prepareSnapshot(context, subvolume, request));
    const memoryBytes = await planMemory(context, planned.results);
    const forecasts = request.dryRun ? await forecastPlans(context, planned.results, rate) : new Map();
    const below = (name: string) => {
      const forecast = forecasts.get(name);
      return forecast ? forecastLines(forecast, planPlace(context)) : [];
    };
    if (!json) for (const line of reports.planLines(planned.results, memoryBytes, below)) console.log(line);
    const toSend = planned.results.flatMap(([name, plan]) =>
      'snapshotPath' in plan && plan.snapshotPath ? [name] : [],
    );
    const isOn = request.dryRun ? [] : toSend;

    const { uploadSnapshot } = await import('../lib/stage/backup/upload/upload.ts');
    const uploaded = await forEachSubvolume((subvolume) => uploadSnapshot(context, subvolume), isOn);
    const { publishBackup } = await import('../lib/stage/backup/publish/publish.ts');
    const published = await forEachSubvolume(
      (subvolume) => publishBackup(context, subvolume),
      uploaded.results.map(([name]) => name),
    );

    if (!json) for (const line of reports.publishedLines(published.results)) console.log(line);
    const outcomes = new Map(published.results);
    const tidied = await forEachSubvolume(
      ({ name }) => reportTidying(context.log, outcomes.get(name)),
      [...outcomes.keys()],
    );
    const failed = [planned, uploaded, published, tidied].flatMap((stage) => stage.failed);
    if (json) {
      const done = new Map(published.results.map((result) => [result[0], reports.publishedJson(result)]));
      const subvolumes = planned.results.map(([name, plan]) => ({
        name,
        ...reports.planJson(plan),
        ...(forecasts.has(name) && { forecast: forecastFields(forecasts.get(name)) }),
        ...done.get(name),
        published: done.has(name),
      }));
      const memory_bytes = memoryBytes ?? null;
      const place = { dry_run: request.dryRun, bucket: context.bucket.name };
      console.log(JSON.stringify({ ...place, memory_bytes, subvolumes, failed }));
    }
    noteBackups({ note, event }, { planned, uploaded, published });
    if (failed.length > 0) context.log.warn(`failed: ${failed.join(', ')}; the error above says why`);
    return worstOfCodes([planned.exitCode, uploaded.exitCode, published.exitCode, tidied.exitCode]);
  },
});
