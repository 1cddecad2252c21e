// @ts-check
/**
 * Starts a program from its bundle, which is made when there is none or an input has changed, and through tsx where no
 * bundle can be made: `node launcher/start.cjs scripts/NAME.ts OPTIONS…`. In JavaScript, because Node 20 starts nothing else.
 */
'use strict';
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { pathToFileURL } = require('node:url');
const { bundleName, directory, readBundle, root } = require('./bundle-file.cjs');
const { runBundle } = require('./run-bundle.cjs');

// Before anything else, which takes seconds when the bundle has to be made (scripts/tsx.sh, lib/cli/signals.ts).
if (process.env.BTRFS_TO_S3_NOHUP) process.on('SIGHUP', () => undefined);

process.argv.splice(1, 1);
const script = path.resolve(process.argv[1] ?? '');
process.argv[1] = script;
const name = bundleName(script);

const bundle = readBundle(name) ?? (makeBundle() ? readBundle(name) : undefined);
const running = bundle ? runBundle(bundle, { name, script }) : runWithTsx();

/** What Node exits with when nothing is left to do and a module still waits. */
const unsettledExitCode = 13;
let ended = false;
process.once('beforeExit', () => {
  if (!ended) process.exitCode ??= unsettledExitCode;
});
// A failure is an unhandled rejection, which Node reports as it does that of a module.
void running.finally(() => {
  ended = true;
});

/** In a process of its own, so that this one carries nothing of esbuild along. Its complaints are left to tsx, which has the same. */
function makeBundle() {
  try {
    fs.mkdirSync(directory, { recursive: true });
    fs.accessSync(directory, fs.constants.W_OK);
    require.resolve('esbuild');
  } catch {
    return false;
  }
  const builder = path.join(root, 'launcher', 'make-bundle.cjs');
  const made = spawnSync(process.execPath, [builder, script], { cwd: root, stdio: 'ignore' });
  return made.status === 0;
}

/** What `node --import tsx` does, for this process: its id stays, and its signals reach the script. */
async function runWithTsx() {
  const { register } = await import('tsx/esm/api').catch((error) => {
    if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
    process.stderr.write(
      `${path.basename(script)}: the npm packages are not installed; run: make -C ${root} setup\n`,
    );
    process.exit(1);
  });
  register();
  await import(pathToFileURL(script).href);
}
