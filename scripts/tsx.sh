#!/usr/bin/env bash
# Runs a TypeScript file from the top of the checkout. A small young generation and few arenas: about 30 MiB less, which the
# promised bound of 120 MiB beside the parts needs.
MALLOC_ARENA_MAX=1 exec node --max-semi-space-size=1 --single-threaded-gc --import tsx "$@"
