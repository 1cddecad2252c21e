#!/usr/bin/env bash
# The three stages of a backup, one after the other: what make backup and the systemd service run. Takes the options of
# snapshot.ts, and exits with the code of a stage that failed, which make would turn into 2.
#
# A stage that fails for some subvolumes (exit 1, 4 or 5) does not keep the others from going on: with --prepared the later stages
# take what is there. Any other failure ends the chain. A shell waits for a command in the foreground before it heeds a signal, or dies
# of it and leaves the command alone: so the stages run in the background, and are told.
set -euo pipefail
cd "$(dirname "$0")/.."

# The later stages know the options of the first that are about settings and subvolumes.
options=("$@")
later=()
dry_run=
while (($# > 0)); do
  case $1 in
    --kind) shift $(($# > 1)) ;;
    --kind=* | --if-due) ;;
    --dry-run) dry_run=1 ;;
    *) later+=("$1") ;;
  esac
  shift
done

failed=0
stopped=
child=
stop() {
  stopped=$1
  kill -TERM $child 2> /dev/null || :
}
trap 'stop 130' INT
trap 'stop 143' TERM
trap 'stop 129' HUP

stage() {
  [[ ! $stopped ]] || exit $stopped
  scripts/tsx.sh "scripts/$1.ts" "${@:2}" &
  child=$!
  # It may have come before the trap knew the new one.
  [[ ! $stopped ]] || kill -TERM $child 2> /dev/null || :
  while code=0; wait $child || code=$?; kill -0 $child 2> /dev/null; do :; done
  # Told by TERM, whatever told this script.
  ((code != 143)) || exit ${stopped:-$code}
  [[ $code =~ ^[0145]$ ]] || exit $code
  ((code == 0)) || failed=$code
}

stage snapshot "${options[@]}"
if [[ ! $dry_run ]]; then
  stage send-chunk-upload "${later[@]}" --prepared
  stage manifest "${later[@]}" --prepared
fi
exit $failed
