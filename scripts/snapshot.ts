/** Stage 1 of a backup: plan full or incremental, take read-only snapshots. */
import { planningOptions, readSnapshotRequest } from '../lib/cli/options/planning-options.ts';
import { runScript } from '../lib/cli/run-script.ts';

await runScript({
  file: 'snapshot.ts',
  summary:
    'Plans the next backup of each subvolume and takes its read-only snapshot, or the newest of those that SUBVOLUMES says exist.',
  options: planningOptions,
  needs: 'sources and bucket',
  root: true,
  locked: true,
  async run({ context, options, json, forEachSubvolume }) {
    const { planJson, planLines } = await import('../lib/cli/reports/backup-report.ts');
    const { checkAccess } = await import('../lib/edge/s3/objects.ts');
    const { prepareSnapshot } = await import('../lib/stage/backup/snapshot.ts');
    const { planMemory } = await import('../lib/stage/memory-need.ts');
    const request = readSnapshotRequest(options);
    await checkAccess(context.bucket);
    const { results, exitCode } = await forEachSubvolume((subvolume) =>
      prepareSnapshot(context, subvolume, request),
    );
    const memoryBytes = await planMemory(context, results);
    if (json) {
      const subvolumes = results.map(([name, plan]) => ({ name, ...planJson(plan) }));
      console.log(JSON.stringify({ dry_run: request.dryRun, memory_bytes: memoryBytes ?? null, subvolumes }));
    } else for (const line of planLines(results, memoryBytes)) console.log(line);
    return exitCode;
  },
});
