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
# No test may ask the address that cloud machines keep for their credentials.
export AWS_EC2_METADATA_DISABLED=true
# The SDK's notice about future Node versions is not about this run.
export AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED=true
# For as long as they run, make setup keeps the packages that they have begun with.
exec {packages}< node_modules/.package-lock.json && flock --shared "$packages"
# A test that hangs is a failure, not a run without end. The limit holds for a whole file of tests as well.
# Two files at once: what waits for a server or a disk leaves the processors to the other.
exec node --import tsx --test --test-concurrency="${TEST_CONCURRENCY:-2}" --test-timeout="${TEST_TIMEOUT_MS:-900000}" --test-reporter=spec "${files[@]}"
