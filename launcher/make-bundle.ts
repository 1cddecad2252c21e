/**
 * Bundles a program with all that it imports: `node --import tsx launcher/make-bundle.ts /path/to/scripts/NAME.ts`. Every input is
 * noted as it was just before it was read, so that a change made meanwhile is found by the next start.
 */
import { randomUUID } from 'node:crypto';
import { readdirSync, rmSync, statSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { extname, join, relative } from 'node:path';
import { build, type Loader, type Plugin } from 'esbuild';
import { bundleName, directory, type Input, readInput, root, writeBundle } from './bundle-file.cjs';

const loaders: Readonly<Record<string, Loader>> = {
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

/** Node's own modules come from the function that runs the bundle: `import` is not for use in a function. */
const builtins: Plugin = {
  name: 'builtins',
  setup({ onLoad, onResolve }) {
    const names = new RegExp(`^(node:.*|${builtinModules.join('|')})$`);
    onResolve({ filter: names }, ({ path }) => ({ path, namespace: 'builtin' }));
    onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path }) => ({
      contents: `module.exports = require_(${JSON.stringify(path)})`,
    }));
  },
};

function noting(inputs: Map<string, Input>): Plugin {
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

/** In a bundle, `import.meta` would be that of the program for each file. */
function withOwnMeta(source: string, file: string): string {
  return source.replace(
    /\bimport\.meta\.(url|dirname|filename)\b/g,
    (_, name) => `meta_(${JSON.stringify(file)}).${name}`,
  );
}

async function makeBundle(script: string): Promise<void> {
  const inputs = new Map<string, Input>();
  for (const file of [...alsoInputs, ...ownFiles, 'launcher/make-bundle.ts']) {
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
  const contentsOf = (end: string) => {
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
function sweep(): void {
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    const ageMs = Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
    if (name.endsWith('.tmp') && ageMs > 3_600_000) rmSync(path, { force: true });
  }
}

await makeBundle(process.argv[2] ?? '');
sweep();
