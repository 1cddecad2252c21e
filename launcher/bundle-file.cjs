// @ts-check
/**
 * A bundle on disk: the header, one line of JSON with every input, then the program, then its source map. One file, so that a start
 * reads either the old bundle or the new one, and a running script needs nothing of node_modules any more.
 */
'use strict';
const { createHash, randomUUID } = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');

/**
 * @typedef {readonly [path: string, sizeBytes: number, mtimeMs: number, ctimeMs: number, hash: string]} Input what was bundled, as it
 *   was just before it was read; the path is relative to the checkout
 * @typedef {{ readonly id: string, readonly inputs: readonly Input[], readonly programBytes: number, readonly mapBytes: number }} Header
 * @typedef {{ readonly id: string, readonly program: string, readonly sourceMap: () => string }} Bundle
 */

/** Where bundles are: ignored by git, made anew whenever they are missing. */
const directory = path.join(__dirname, '..', '.build');
const root = path.dirname(directory);

/** A file that changed so shortly before it was read may change again without another time stamp. */
const settledAfterMs = 100;

/**
 * What the bundle of a program is called: `list` for scripts/list.ts, `testing.scripts.demo` for testing/scripts/demo.ts.
 * @param {string} program its path
 * @returns {string}
 */
const bundleName = (program) =>
  path
    .relative(root, program)
    .replace(/^scripts\//, '')
    .replace(/\.ts$/, '')
    .replaceAll('/', '.');

/**
 * Where the bundle of a program is.
 * @param {string} name
 * @returns {string}
 */
const bundlePath = (name) => path.join(directory, `${name}.bundle`);

/**
 * Reads a file as an input of a bundle.
 * @param {string} file
 * @returns {{ readonly input: Input, readonly contents: Buffer }}
 */
function readInput(file) {
  const { size, mtimeMs, ctimeMs } = fs.statSync(file);
  const settled = Date.now() - Math.max(mtimeMs, ctimeMs) > settledAfterMs;
  const contents = fs.readFileSync(file);
  const hash = createHash('sha256').update(contents).digest('base64');
  return { input: [path.relative(root, file), size, settled ? mtimeMs : 0, ctimeMs, hash], contents };
}

/**
 * The inputs as they are now, or undefined when the contents of one are not those that were bundled.
 * @param {readonly Input[]} inputs
 * @returns {{ readonly inputs: readonly Input[], readonly touched: boolean } | undefined}
 */
function currentInputs(inputs) {
  let touched = false;
  const current = [];
  for (const input of inputs) {
    const [file, sizeBytes, mtimeMs, ctimeMs, hash] = input;
    const found = fs.statSync(`${root}/${file}`, { throwIfNoEntry: false });
    if (!found || found.size !== sizeBytes) return undefined;
    if (found.mtimeMs === mtimeMs && found.ctimeMs === ctimeMs) current.push(input);
    else {
      const again = readInput(path.join(root, file)).input;
      if (again[4] !== hash) return undefined;
      current.push(again);
      touched = true;
    }
  }
  return { inputs: current, touched };
}

/**
 * The bundle of a script, if there is one and nothing in it has changed since.
 * @param {string} name
 * @returns {Bundle | undefined}
 */
function readBundle(name) {
  try {
    const bytes = fs.readFileSync(bundlePath(name));
    const headerBytes = bytes.indexOf(10) + 1;
    /** @type {Header} */
    const { id, inputs, programBytes, mapBytes } = JSON.parse(bytes.toString('utf8', 0, headerBytes));
    const end = headerBytes + programBytes;
    if (bytes.length !== end + mapBytes) return undefined;
    const current = currentInputs(inputs);
    if (!current) return undefined;
    if (current.touched) {
      // Only to be quicker the next time: it may be a read-only filesystem.
      try {
        writeBundle(
          name,
          { id, inputs: current.inputs, programBytes, mapBytes },
          bytes.subarray(headerBytes),
        );
      } catch {
        // It stays as it was.
      }
    }
    // The program is ASCII.
    const program = bytes.toString('latin1', headerBytes, end);
    const sourceMap = Buffer.from(bytes.subarray(end));
    return { id, program, sourceMap: () => sourceMap.toString('utf8') };
  } catch {
    return undefined;
  }
}

/**
 * Replaces the bundle of a script.
 * @param {string} name @param {Header} header @param {Uint8Array} body the program and its source map
 */
function writeBundle(name, header, body) {
  writeWhole(bundlePath(name), [Buffer.from(`${JSON.stringify(header)}\n`), body]);
}

/**
 * Writes a file so that others see all of it or nothing.
 * @param {string} file @param {readonly Uint8Array[]} parts
 */
function writeWhole(file, parts) {
  const beside = `${file}.${randomUUID()}.tmp`;
  try {
    const descriptor = fs.openSync(beside, 'wx');
    try {
      for (const part of parts) fs.writeFileSync(descriptor, part);
      fs.fsyncSync(descriptor);
    } finally {
      fs.closeSync(descriptor);
    }
    fs.renameSync(beside, file);
  } catch (error) {
    fs.rmSync(beside, { force: true });
    throw error;
  }
}

module.exports = { bundleName, bundlePath, directory, readBundle, readInput, root, writeBundle, writeWhole };
