// @ts-check
/** Names the TypeScript files in stack traces, as `--enable-source-maps` does; but the map is read only when a trace is looked at. */
'use strict';
const { SourceMap } = require('node:module');
const path = require('node:path');
const { root } = require('./bundle-file.cjs');

/**
 * @param {string} bundleFile @param {() => string} sourceMap
 */
function nameSources(bundleFile, sourceMap) {
  /** @type {SourceMap | undefined} */
  let map;
  Error.prepareStackTrace = (error, frames) => {
    const lines = frames.map((frame) => {
      const text = `\n    at ${frame}`;
      const [line, column] = [frame.getLineNumber(), frame.getColumnNumber()];
      if (frame.getFileName() !== bundleFile || !line || !column) return text;
      map ??= new SourceMap(JSON.parse(sourceMap()));
      const entry = map.findEntry(line - 1, column - 1);
      // Of packages only the beginning is mapped.
      if (!('originalSource' in entry) || entry.originalSource.includes('node_modules/')) return text;
      const place = `${path.join(root, entry.originalSource)}:${entry.originalLine + 1}:${entry.originalColumn + 1}`;
      return text.replace(`${bundleFile}:${line}:${column}`, place);
    });
    return headOf(error) + lines.join('');
  };
}

/**
 * @param {Error} error
 * @returns {string}
 */
function headOf(error) {
  try {
    return String(error);
  } catch {
    return '<error>';
  }
}

module.exports = { nameSources };
