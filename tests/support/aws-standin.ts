/**
 * A stand-in for `aws s3api` whose bucket is a directory: the real one takes a second for each call. Tests of the real one, against a
 * server, are `end-to-end/recover-sh` and `slow/recover-sh`.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const script = `#!/usr/bin/env bash
# Calls are in calls, classes in class/KEY, answers of HEAD in head/KEY; FAIL, a file of "VERB KEY-END WORDS", fails what it names.
PATH=/usr/bin:/bin
root=ROOT
verb='' key='' prefix='' range='' out=''
while (($#)); do
  case $1 in
    --endpoint-url | --region | --output | --query | --restore-request) shift ;;
    --bucket=*) ;;
    --key=*) key=\${1#*=} ;;
    --prefix=*) prefix=\${1#*=} ;;
    --range) range=\${2#bytes=} && shift ;;
    s3api) verb=$2 && shift ;;
    *) out=$1 ;;
  esac
  shift
done
object=$root/objects/$key
key=\${key:-$prefix}
echo "$verb $key $range" >> "$root/calls"
if [[ -e $root/fail ]]; then
  while read -r which end words; do
    [[ $verb == "$which" && $key == *"$end" ]] && { echo "An error occurred $words" >&2; exit 254; }
  done < "$root/fail"
fi
case $verb in
  list-objects-v2)
    cd "$root/objects"
    find . -type f -printf '%P\\t%s\\n' | sort | while IFS=$'\\t' read -r each size; do
      [[ $each == "$prefix"* ]] || continue
      class=''; [[ ! -e $root/class/$each ]] || class=$(< "$root/class/$each")
      printf '%s\\t%s\\t%s\\n' "$each" "$size" "$class"
    done | jq -nR '[inputs / "\\t" | [.[0], (.[1] | tonumber), (.[2] | if . == "" then null else . end)]] | if . == [] then null else . end'
    ;;
  get-object)
    [[ -e $object ]] || { echo 'An error occurred (NoSuchKey) when calling the GetObject operation: none' >&2; exit 254; }
    [[ ! -e $root/head/$key ]] || { echo 'An error occurred (InvalidObjectState) when calling the GetObject operation: cold' >&2; exit 254; }
    if [[ $range ]]; then tail -c +$((\${range%-*} + 1)) "$object" | head -c $((\${range#*-} - \${range%-*} + 1)) > "$out"
    else cat "$object" > "$out"; fi
    ;;
  head-object)
    cat "$root/head/$key" 2> /dev/null || echo '{"StorageClass":"DEEP_ARCHIVE","Restore":"ongoing-request=\\"false\\""}'
    ;;
  restore-object)
    echo '{"StorageClass":"DEEP_ARCHIVE","Restore":"ongoing-request=\\"true\\""}' > "$root/head/$key"
    ;;
esac
`;

/** The bucket of the stand-in. */
export interface StandIn {
  /** Directory with the program `aws`. */
  readonly bin: string;
  put(key: string, content: string | Uint8Array): void;
  remove(key: string): void;
  read(key: string): Buffer;
  /** Gives an object a class; with `head`, what HEAD says of it, and it cannot be read. Without, it is readable again. */
  classify(key: string, storageClass: string, head?: object): void;
  /** Fails calls: lines of verb, end of the key, and words; none to let all pass. */
  fail(...rules: readonly string[]): void;
  /** The calls since the last time: verb, key, range. */
  calls(): readonly string[];
}

/** Makes one in an empty directory. */
export function standInAws(root: string): StandIn {
  const bin = join(root, 'bin');
  for (const name of ['bin', 'objects', 'head', 'class']) mkdirSync(join(root, name), { recursive: true });
  writeFileSync(join(bin, 'aws'), script.replace('ROOT', `'${root}'`), { mode: 0o755 });
  writeFileSync(join(root, 'calls'), '');
  const write = (path: string, content: string | Uint8Array) => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  };
  return {
    bin,
    put: (key, content) => write(join(root, 'objects', key), content),
    remove: (key) => rmSync(join(root, 'objects', key)),
    read: (key) => readFileSync(join(root, 'objects', key)),
    classify(key, storageClass, head) {
      write(join(root, 'class', key), storageClass);
      rmSync(join(root, 'head', key), { force: true });
      if (head) write(join(root, 'head', key), JSON.stringify(head));
    },
    fail: (...rules) => writeFileSync(join(root, 'fail'), rules.map((rule) => `${rule}\n`).join('')),
    calls() {
      const lines = readFileSync(join(root, 'calls'), 'utf8').trimEnd().split('\n');
      writeFileSync(join(root, 'calls'), '');
      return lines.filter((line) => line !== '').map((line) => line.trim());
    },
  };
}
