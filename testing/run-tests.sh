#!/usr/bin/env bash
# Runs the test files below the named folders with node:test. Node 20 finds no .ts file by itself and then exits 0, so
# the files are listed here, and an empty list is a failure.
set -euo pipefail
cd "$(dirname "$0")/.."
mapfile -t files < <(find "$@" -name '*.test.ts' | LC_ALL=C sort)
if ((${#files[@]} == 0)); then
  echo "no test files below: $*" >&2
  exit 1
fi

# Files share processes, as to start one and load the sources takes two seconds of processor time, more than most files need. Each is a suite
# there. A file with a comment that begins with "Alone:" has one of its own: it changes what the others see, and does not take it back.
# Their lists are of this run, whose process number stays; those of runs that have ended go.
together=testing/run/together/$$
for ended in testing/run/together/*; do
  [[ -d /proc/${ended##*/} ]] || rm -rf "$ended"
done
mkdir -p "$together"
share() { # NAME PROCESSES FILES…
  local name=$1 processes=$2 nth=0 file
  shift 2
  for file; do
    printf "describe('%s', async () => void (await import('%s')));\n" "$file" "$PWD/$file" >> "$together/$order-$name-$((nth++ % processes)).test.ts"
  done
}
# node:test runs them in the order of their names: what takes long begins first, so that no processor waits for it at the end.
order=10
for folder in transfer end-to-end edge contract stage harness house core bench cli; do
  processes=1
  [[ $folder != end-to-end ]] || processes=6
  ((order += 1))
  mapfile -t shared < <(printf '%s\n' "${files[@]}" | grep "^tests/$folder/" | xargs -r grep -LE '^// Alone:')
  ((${#shared[@]} > processes)) || continue
  share "$folder" "$processes" "${shared[@]}"
  mapfile -t files < <(printf '%s\n' "${files[@]}" | grep -vxF "$(printf '%s\n' "${shared[@]}")")
done
for file in "$together"/*.test.ts; do
  [[ -e $file ]] || continue
  sed -i "1i import { describe } from 'node:test';" "$file"
  files=("$file" "${files[@]}")
done

# No test may ask the address that cloud machines keep for their credentials.
export AWS_EC2_METADATA_DISABLED=true
# The SDK's notice about future Node versions is not about this run.
export AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED=true
# As in scripts/tsx.sh: tests start many programs.
export GLIBC_TUNABLES=glibc.malloc.hugetlb=1
# For as long as they run, make setup keeps the packages that they have begun with.
exec {packages}< node_modules/.package-lock.json && flock --shared "$packages"
# A test that hangs is a failure, not a run without end. The limit holds for a whole process as well.
# More files at once than there are processors: what waits for a server or a disk leaves them to the others.
# A heap that starts large: a file's process lives too short for V8 to learn how much it needs, and collects without success (a twelfth of the processor time).
exec node --initial-old-space-size=256 --import tsx --test --test-concurrency="${TEST_CONCURRENCY:-4}" --test-timeout="${TEST_TIMEOUT_MS:-1800000}" --test-reporter=spec "${files[@]}"
