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
# Tests of what is pure share a process, one for each of these folders: to start one and load the sources takes longer than they do.
for folder in tests/core tests/cli; do
  mapfile -t own < <(printf '%s\n' "${files[@]}" | grep "^$folder/")
  ((${#own[@]} > 1)) || continue
  mapfile -t files < <(printf '%s\n' "${files[@]}" | grep -v "^$folder/")
  together=testing/run/together/${folder#tests/}.test.ts
  mkdir -p "${together%/*}"
  printf "import '$PWD/%s';\n" "${own[@]}" > "$together"
  files+=("$together")
done
# No test may ask the address that cloud machines keep for their credentials.
export AWS_EC2_METADATA_DISABLED=true
# The SDK's notice about future Node versions is not about this run.
export AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED=true
# As in scripts/tsx.sh: tests start many programs.
export GLIBC_TUNABLES=glibc.malloc.hugetlb=1
# For as long as they run, make setup keeps the packages that they have begun with.
exec {packages}< node_modules/.package-lock.json && flock --shared "$packages"
# A test that hangs is a failure, not a run without end. The limit holds for a whole file of tests as well.
# More files at once than there are processors: what waits for a server or a disk leaves them to the others.
exec node --import tsx --test --test-concurrency="${TEST_CONCURRENCY:-3}" --test-timeout="${TEST_TIMEOUT_MS:-900000}" --test-reporter=spec "${files[@]}"
