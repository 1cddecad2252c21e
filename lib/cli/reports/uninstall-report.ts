/** What stays when the program is removed, and the commands that remove it as well. */
import type { SettingValues } from '../../core/settings/settings.ts';

/** In lines. @param hostName the prefix where none is set @param config the settings file */
export function whatStays(
  { SUBVOLUMES = [], SNAPSHOT_DIR, RUN_DIR, S3_BUCKET, S3_PREFIX }: Partial<SettingValues>,
  hostName: string,
  config: string,
): readonly string[] {
  const prefix = S3_PREFIX ?? hostName;
  const names = SUBVOLUMES.flatMap((subvolume) => ('path' in subvolume ? [subvolume.name] : []));
  return [
    'What stays, and how to remove it:',
    ...(S3_BUCKET === undefined
      ? []
      : [
          `  the backups    aws s3 rm --recursive s3://${S3_BUCKET}/${prefix}/    (archive classes charge for their minimum duration all the same)`,
        ]),
    ...(SNAPSHOT_DIR === undefined
      ? []
      : names.map((name) => `  snapshots      btrfs subvolume delete ${SNAPSHOT_DIR}/${name}__*`)),
    ...(RUN_DIR === undefined ? [] : [`  state          rm -r ${RUN_DIR}`]),
    `  settings       rm ${config}    (the credentials in it may still be valid)`,
    '  the program    remove this directory',
  ];
}
