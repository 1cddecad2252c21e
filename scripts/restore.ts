/** Restores one backup of one subvolume to a path that does not exist yet. */
import { pointOptions, refuseTwoPoints, thawOptions } from '../lib/cli/options/point-options.ts';
import { readThawWish } from '../lib/cli/options/thaw-options.ts';
import { runScript } from '../lib/cli/run-script.ts';
import { ToolError } from '../lib/core/errors.ts';
import { printable } from '../lib/core/printable.ts';
import { formatCount, formatDuration, formatSize } from '../lib/core/units.ts';

const modes = ['full', 'sample', 'none'] as const;

await runScript({
  file: 'restore.ts',
  summary:
    'Restores a subvolume from its chain in the bucket; archived chunks are thawed, and every part is verified before btrfs receive sees it.',
  options: {
    ...pointOptions,
    target: {
      type: 'string',
      value: 'PATH',
      about: 'where to: an absolute path on Btrfs that does not exist (required)',
    },
    verify: {
      type: 'string',
      value: 'MODE',
      about: `compare afterwards: ${modes.join(', ')} (default: VERIFY_MODE)`,
    },
    ...thawOptions,
    'read-only': { type: 'boolean', about: 'make TARGET read-only' },
    'no-wait': { type: 'boolean', about: 'exit 5 while chunks thaw, instead of waiting for RESTORE_TIMEOUT' },
  },
  needs: 'bucket',
  root: true,
  locked: false,
  async run({ context, options, json }) {
    const { restoreBackup } = await import('../lib/stage/restore/restore.ts');
    const { describeMissing } = await import('../lib/stage/restore/nested-backups.ts');
    const { subvolume, at, manifest } = options;
    const target = options.target?.replace(/(?<=.)\/+$/, '');
    if (!subvolume || !target) {
      throw new ToolError(`${subvolume ? 'TARGET' : 'SUBVOLUME'} is not given`, {
        kind: 'usage',
        hint: 'make restore SUBVOLUME=name TARGET=/path; make list shows what there is',
      });
    }
    refuseTwoPoints(at, manifest);
    const verifyMode = modes.find((mode) => mode === (options.verify ?? context.settings.VERIFY_MODE));
    if (!verifyMode) {
      throw new ToolError(`VERIFY=${options.verify} is not a mode`, {
        kind: 'usage',
        hint: `use ${modes.join(', ')}`,
      });
    }
    const startedMs = Date.now();
    const restored = await restoreBackup(context, {
      subvolume,
      target,
      selection: { at, manifest },
      verifyMode,
      readOnly: options['read-only'] !== undefined,
      thaw: readThawWish(options),
      mayWait: options['no-wait'] === undefined,
    });
    const chain = restored.chain.map(({ key }) => key);
    const { bytes, proofs, missing } = restored;
    for (const line of describeMissing(missing)) context.log.warn(line);
    if (json) console.log(JSON.stringify({ subvolume, target, chain, bytes, proofs, missing }));
    else {
      console.log(
        `restored ${subvolume} to ${target}: ${formatCount(chain.length, 'backup')}, ${formatSize(bytes)} in ${formatDuration((Date.now() - startedMs) / 1000)}`,
      );
      for (const proof of proofs) console.log(`  ${printable(proof)}`);
    }
    return 0;
  },
});
