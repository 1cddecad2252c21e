// @ts-check
/**
 * Bundles a program with all that it imports: `node launcher/make-bundle.cjs /path/to/scripts/NAME.ts`. Every input is noted as it was
 * just before it was read, so that a change made meanwhile is found by the next start. In JavaScript, because tsx would take longer to
 * start than esbuild takes for a bundle.
 */
'use strict';
const { randomUUID } = require('node:crypto');
const { readdirSync, rmSync, statSync } = require('node:fs');
const { builtinModules } = require('node:module');
const { extname, join, relative } = require('node:path');
const { build } = require('esbuild');
const { bundleName, directory, readInput, root, writeBundle } = require('./bundle-file.cjs');

/** @type {Readonly<Record<string, import('esbuild').Loader>>} */
const loaders = {
  '.ts': 'ts',
  '.mts': 'ts',
  '.cts': 'ts',
  '.json': 'json',
};

/** A source map with next to nothing in it: lines of packages are not mapped, which makes the whole map a tenth. */
const emptyMap = Buffer.from('{"version":3,"sources":[""],"mappings":"AAAA"}').toString('base64');
const noMap = `\n//# sourceMappingURL=data:application/json;base64,${emptyMap}\n`;

/** What decides how files are found, beside the files. */
const alsoInputs = ['tsconfig.json', 'package.json', 'node_modules/.package-lock.json'];
const ownFiles = ['bundle-file', 'run-bundle', 'stack-traces', 'start'].map((name) => `launcher/${name}.cjs`);

/** Node's own modules come from the function that runs the bundle: `import` is not for use in a function. @type {import('esbuild').Plugin} */
const builtins = {
  name: 'builtins',
  setup({ onLoad, onResolve }) {
    const names = new RegExp(`^(node:.*|${builtinModules.join('|')})$`);
    onResolve({ filter: names }, ({ path }) => ({ path, namespace: 'builtin' }));
    onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path }) => ({
      contents: `module.exports = require_(${JSON.stringify(path)})`,
    }));
  },
};

/**
 * Notes what is bundled.
 * @param {Map<string, import('./bundle-file.cjs').Input>} inputs
 * @returns {import('esbuild').Plugin}
 */
function noting(inputs) {
  return {
    name: 'noting',
    setup({ onLoad }) {
      onLoad({ filter: /.*/, namespace: 'file' }, ({ path }) => {
        const { input, contents } = readInput(path);
        inputs.set(path, input);
        const loader = loaders[extname(path)] ?? 'js';
        if (loader === 'json') return { contents, loader };
        if (path.includes('/node_modules/')) return { contents: `${contents}${noMap}`, loader };
        return { contents: withOwnMeta(contents.toString(), relative(root, path)), loader };
      });
    },
  };
}

/**
 * In a bundle, `import.meta` would be that of the program for each file.
 * @param {string} source @param {string} file
 */
function withOwnMeta(source, file) {
  return source.replace(
    /\bimport\.meta\.(url|dirname|filename)\b/g,
    (_, name) => `meta_(${JSON.stringify(file)}).${name}`,
  );
}

/** @param {string} script */
async function makeBundle(script) {
  /** @type {Map<string, import('./bundle-file.cjs').Input>} */
  const inputs = new Map();
  for (const file of [...alsoInputs, ...ownFiles, 'launcher/make-bundle.cjs']) {
    inputs.set(file, readInput(join(root, file)).input);
  }
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: [script],
    outdir: root,
    write: false,
    bundle: true,
    platform: 'node',
    target: 'node20',
    // The only one with top-level await, which becomes that of the function.
    format: 'esm',
    banner: { js: '(async function (require_, meta_) { "use strict"; const require = require_;' },
    footer: { js: '})' },
    define: {
      'import.meta.url': 'meta_.url',
      'import.meta.dirname': 'meta_.dirname',
      'import.meta.filename': 'meta_.filename',
    },
    // Names stay: stack traces and error classes are read by people.
    minifySyntax: true,
    minifyWhitespace: true,
    lineLimit: 160,
    legalComments: 'none',
    sourcemap: 'external',
    sourcesContent: false,
    logLevel: 'silent',
    plugins: [builtins, noting(inputs)],
  });
  const contentsOf = (/** @type {string} */ end) => {
    const file = outputFiles.find(({ path }) => path.endsWith(end));
    if (!file) throw new Error(`esbuild wrote no ${end}`);
    return file.contents;
  };
  const [program, sourceMap] = [contentsOf('.js'), contentsOf('.js.map')];
  const sizes = { programBytes: program.length, mapBytes: sourceMap.length };
  const header = { id: randomUUID(), inputs: [...inputs.values()], ...sizes };
  writeBundle(bundleName(script), header, Buffer.concat([program, sourceMap]));
}

/** Files of builds that were killed. */
function sweep() {
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    const ageMs = Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
    if (name.endsWith('.tmp') && ageMs > 3_600_000) rmSync(path, { force: true });
  }
}

void makeBundle(process.argv[2] ?? '').then(sweep);
