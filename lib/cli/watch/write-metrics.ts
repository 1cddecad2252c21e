/** METRICS_FILE, from the records in RUN_DIR. */

import { drillEverySeconds } from '../../core/plan/drill-due.ts';
import type { SettingValues } from '../../core/settings/settings.ts';
import { metricsText } from '../../core/watch/metrics.ts';
import { type WatchFiles, writeMetricsFile } from '../../edge/files/watch-files.ts';

/** Writes it. Subvolumes that this run did not look at keep what is known of them. @throws ToolError */
export async function writeMetrics(
  files: WatchFiles,
  values: SettingValues,
  hostName: string,
): Promise<void> {
  const bucket = values.S3_BUCKET ?? '';
  const prefix = values.S3_PREFIX ?? hostName;
  const place = `${bucket}/${prefix}`;
  const health = await files.readHealth();
  const runs = (await files.readRuns()).filter((run) => run.place === place);
  const text = metricsText({
    bucket,
    prefix,
    runs,
    health: health?.place === place ? health.subvolumes : {},
    verifyEverySeconds: values.VERIFY_EVERY === 'never' ? undefined : values.VERIFY_EVERY,
    drillEverySeconds: values.DRILL === 'off' ? undefined : drillEverySeconds(values.DRILL),
  });
  await writeMetricsFile(values.METRICS_FILE, text);
}
