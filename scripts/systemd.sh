#!/usr/bin/env bash
# Installs the systemd units of config/systemd/, filled in for this checkout, or removes them.
# Usage: systemd.sh install|uninstall --config FILE [--prefix DIR] [--destdir DIR]
# The running systemd is told only without --destdir, which is for packages.
set -euo pipefail

fail() {
  echo "systemd.sh: $1" >&2
  exit "${2:-1}"
}

action=${1:-}
[[ $action == install || $action == uninstall ]] || fail "say install or uninstall, not \"$action\"" 2
shift
config=config/backup.env prefix=/usr/local destdir=
while (($# > 0)); do
  (($# > 1)) || fail "$1 has no value" 2
  case $1 in
    --config) config=$2 ;;
    --prefix) prefix=$2 ;;
    --destdir) destdir=$2 ;;
    *) fail "$1 is no option" 2 ;;
  esac
  shift 2
done
[[ $prefix == /* ]] || fail "PREFIX=$prefix is not an absolute path" 2
[[ -z $destdir || $destdir == /* ]] || fail "DESTDIR=$destdir is not an absolute path" 2

config=$(realpath --no-symlinks --canonicalize-missing -- "$config")
cd "$(dirname "$0")/.."
checkout=$PWD
units=(btrfs-to-s3.service btrfs-to-s3.timer)
directory=${prefix%/}/lib/systemd/system
target=$destdir$directory

# True where systemd runs that is to be told.
has_systemd() { [[ -z $destdir && -d /run/systemd/system ]]; }

if [[ $action == uninstall ]]; then
  # A backup that runs just now is not stopped.
  if has_systemd && [[ -e $target/btrfs-to-s3.timer ]]; then systemctl disable --now btrfs-to-s3.timer; fi
  rm -f "${units[@]/#/$target/}"
  # Directories that nobody else uses; those of the system itself stay.
  if [[ -d $target && $destdir ]]; then (cd "$destdir" && rmdir -p --ignore-fail-on-non-empty "${directory#/}"); fi
  if has_systemd; then systemctl daemon-reload; fi
  exit 0
fi

node=$(type -P node) || fail "node is not in PATH; run make setup"
node_directory=$(dirname "$node")
for path in "$checkout" "$config" "$node_directory"; do
  # What systemd would read as a quote, a specifier or the end of a word; and what sed would.
  [[ $path =~ ^[A-Za-z0-9/._+:@-]+$ ]] ||
    fail "$path cannot stand in a unit: use a path of letters, digits and /._+:@- alone" 2
done
for unit in "${units[@]}"; do
  install -D -m 0644 "config/systemd/$unit" "$target/$unit"
  sed -i "s|@CHECKOUT@|$checkout|g; s|@CONFIG@|$config|g; s|@NODE_DIRECTORY@|$node_directory|g" "$target/$unit"
done
if has_systemd; then systemctl daemon-reload; fi
echo "installed ${units[*]/#/$target/}"
[[ -e $config ]] || echo "$config is not there yet: copy config/backup.env.example to it (mode 0600), and fill it in"
echo "then: systemctl enable --now btrfs-to-s3.timer"
