#!/usr/bin/env bash
# Runs a TypeScript file from the top of the checkout, out of a bundle in .build/, which takes a third of the time
# (launcher/start.cjs). A small young generation and few arenas: about 30 MiB less, which the
# promised bound of 120 MiB beside the parts needs. What a download's buffers leave free stays with the process, instead of being given
# back and faulted in again for each of them (mallopt(3); testing/bench/README.md has what it gives). Huge pages for the parts: each start of
# another program copies the page tables of all that node has (fork(2)), which took 9 ms for 300 MiB and takes 0.6.
export MALLOC_ARENA_MAX=1 MALLOC_TRIM_THRESHOLD_=16777216 MALLOC_TOP_PAD_=4194304
export GLIBC_TUNABLES=glibc.malloc.hugetlb=1
# Node takes every signal that its parent ignored, and nohup ignores SIGHUP for a run that is to survive its terminal: so node has to be
# informed of it. The first bit of SigIgn is signal 1 (proc_pid_status(5)); read reaches no NUL, and has the whole file.
read -rd '' status 2> /dev/null < /proc/self/status
[[ $status =~ SigIgn:[[:space:]]*([0-9a-f]+) ]] && ((16#${BASH_REMATCH[1]} & 1)) && export BTRFS_TO_S3_NOHUP=1
if [[ ${1:-} != scripts/*.ts ]]; then
  # What starts others from the packages keeps them: for as long as it runs, make setup installs beside them.
  [[ ! -r node_modules/.package-lock.json ]] || { exec {packages}< node_modules/.package-lock.json && flock --shared "$packages"; }
fi
exec node --expose-gc --max-semi-space-size=1 --single-threaded-gc launcher/start.cjs "$@"
