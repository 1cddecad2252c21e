// @ts-check
/** Runs a bundle. V8's compiled code is kept beside it, which saves half of what a start takes. */
'use strict';
const fs = require('node:fs');
const path = require('node:path');
const { createRequire } = require('node:module');
const { pathToFileURL } = require('node:url');
const vm = require('node:vm');
const { bundlePath, directory, root, writeWhole } = require('./bundle-file.cjs');
const { nameSources } = require('./stack-traces.cjs');

/**
 * @param {import('./bundle-file.cjs').Bundle} bundle
 * @param {{ readonly name: string, readonly script: string }} about
 * @returns {Promise<void>} settled as the script's module would be
 */
function runBundle({ id, program, sourceMap }, { name, script }) {
  const filename = bundlePath(name);
  const cache = path.join(directory, `${name}.node-${process.versions.node.split('.')[0]}.code`);
  // V8 looks at the length of a program only: the id says whose code it is.
  const key = Buffer.from(`${id} ${process.version}\n`);
  const cachedData = readCode(cache, key);
  const compiled = new vm.Script(program, {
    filename,
    ...(cachedData && { cachedData }),
    importModuleDynamically: vm.constants?.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
  nameSources(filename, sourceMap);
  if (!cachedData || compiled.cachedDataRejected) keepCodeAtExit(compiled, cache, key);
  const meta = (/** @type {string} */ file) => metaOf(path.join(root, file));
  Object.assign(meta, metaOf(script));
  return compiled.runInThisContext()(createRequire(path.join(root, 'package.json')), meta);
}

/**
 * What `import.meta` is in a file.
 * @param {string} file
 */
const metaOf = (file) => ({ url: pathToFileURL(file).href, filename: file, dirname: path.dirname(file) });

/**
 * @param {string} cache @param {Buffer} key
 * @returns {Buffer | undefined}
 */
function readCode(cache, key) {
  try {
    const bytes = fs.readFileSync(cache);
    return bytes.subarray(0, key.length).equals(key) ? bytes.subarray(key.length) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * After a run that came to its end, most of what a run needs is compiled; `--help` needs too little.
 * @param {vm.Script} compiled @param {string} cache @param {Buffer} key
 */
function keepCodeAtExit(compiled, cache, key) {
  if (process.argv.includes('--help')) return;
  process.once('exit', (exitCode) => {
    if (exitCode !== 0) return;
    try {
      writeWhole(cache, [key, compiled.createCachedData()]);
    } catch {
      // Nothing depends on it: the disk may be full, or the checkout read-only.
    }
  });
}

module.exports = { runBundle };
