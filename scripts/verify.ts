/** Checks the bucket against its manifests. */
import { anySubvolumeOption, refuseEmptyName } from '../lib/cli/options/point-options.ts';
import { runScript } from '../lib/cli/run-script.ts';
import { ifDueOption, whyNotDue } from '../lib/cli/watch/if-due.ts';
import { ToolError } from '../lib/core/errors.ts';
import { printable } from '../lib/core/printable.ts';
import { formatCount, formatSize } from '../lib/core/units.ts';

await runScript({
  file: 'verify.ts',
  summary:
    'Checks every manifest, chain and chunk in the bucket, without changing anything; exits 4 when damage is found.',
  options: {
    subvolume: anySubvolumeOption,
    'if-due': ifDueOption('VERIFY_EVERY'),
    deep: { type: 'boolean', about: 'download and hash every byte as well' },
  },
  needs: 'bucket',
  locked: false,
  async run({ context, options, json, note, skip, logFailure }) {
    const { verifyBackups } = await import('../lib/stage/bucket/verify.ts');
    const { noteVerify } = await import('../lib/cli/watch/note-verify.ts');
    refuseEmptyName(options.subvolume);
    const notDue = options['if-due'] === undefined ? undefined : await whyNotDue(context, 'verify');
    if (notDue !== undefined) {
      console.log(json ? JSON.stringify({ not_due: notDue }) : notDue);
      skip();
      return 0;
    }
    const outcome = await verifyBackups(context, options.subvolume, options.deep !== undefined);
    noteVerify(note, outcome);
    const { findings, cold, unproven, sealed, manifests, chunks, bytes } = outcome;
    if (json) console.log(JSON.stringify(outcome));
    else {
      for (const { object, problem } of findings) console.log(printable(`${object}: ${problem}`));
      for (const key of cold) console.log(printable(`${key}: not read, as it is archived and not thawed`));
      const how = outcome.deep ? 'every byte' : 'sizes, ETags and checksums';
      const plain =
        sealed > 0
          ? `; of ${formatCount(sealed, 'encrypted backup')} the stored bytes only, as ${context.settings.DECRYPT_WITH === '' ? 'DECRYPT_WITH is not set' : 'DECRYPT_WITH does not open them'}`
          : '';
      const left = cold.length > 0 ? `, but for ${formatCount(cold.length, 'archived object')}` : '';
      const what = `${formatCount(manifests, 'manifest')}, ${formatCount(chunks, 'chunk')}, ${formatSize(bytes)} (${how}${left}${plain})`;
      const sound =
        cold.length > 0
          ? 'sound as far as it could be read'
          : unproven > 0
            ? `sound as far as the manifests show (earlier versions did not record what ${formatCount(unproven, 'backup')} must be applied to; DEEP=1 reads it)`
            : 'sound';
      console.log(
        findings.length === 0
          ? `${sound}: ${what}`
          : `DAMAGED: ${formatCount(findings.length, 'finding')} in ${what}\n  make list shows which backups can still be restored; make backup KIND=full begins a chain that needs none of these objects`,
      );
    }
    if (cold.length > 0) {
      context.log.warn(
        `${formatCount(cold.length, 'object')} could not be read, archived and not thawed; make thaw SUBVOLUME=name requests those of a chain`,
      );
    }
    const [first] = findings;
    if (first) {
      const message = `${formatCount(findings.length, 'finding')} of damage, the first: ${first.object}: ${first.problem}`;
      logFailure(
        new ToolError(message, {
          kind: 'damage',
          hint: `make verify${outcome.deep ? ' DEEP=1' : ''} lists all of them`,
        }),
      );
      return 4;
    }
    return cold.length > 0 ? 5 : 0;
  },
});
