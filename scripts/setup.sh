#!/usr/bin/env bash
# Installs what the tool calls: system packages through apt where that is possible, npm packages by lockfile.
# Elsewhere it prints the command for the system's own package manager. With --development also what the tests need, with
# --ceph also the Ceph cluster that they can run against.
set -euo pipefail
cd "$(dirname "$0")/.."

commands=(btrfs mkfs.btrfs age zstd ssh-keygen flock findmnt losetup setpriv rsync)
packages=(btrfs-progs age zstd openssh-client util-linux rsync)
if [[ "${1:-}" == "--development" || "${1:-}" == "--ceph" ]]; then
  commands+=(getfattr setfacl setcap filefrag pgrep jq python3 systemd-analyze shellcheck aws)
  packages+=(attr acl libcap2-bin e2fsprogs procps jq python3 systemd shellcheck)
  # Not every release has a package of it, and it may be installed otherwise.
  command -v aws >/dev/null || packages+=(awscli)
fi
if [[ "${1:-}" == "--ceph" ]]; then
  commands+=(ceph ceph-mon ceph-osd monmaptool radosgw radosgw-admin)
  packages+=(radosgw ceph-mon ceph-osd ceph-common)
fi

# Seconds. A host that has just started updates its lists and packages by itself, and apt has one lock for each.
apt_patience=600

# The lock of the lists is one that apt-get does not wait for, whatever its options (apt 2.6).
update_lists() {
  local said deadline=$((SECONDS + apt_patience)) is_announced=''
  until said=$("${as_root[@]}" apt-get update -qq 2>&1); do
    if [[ $said != */lists/lock* ]] || ((SECONDS >= deadline)); then
      printf '%s\n' "$said" >&2
      exit 1
    fi
    [[ $is_announced ]] || echo 'setup: another apt is updating the package lists; waiting for it' >&2
    is_announced=yes
    sleep 3
  done
}

missing=()
for command in "${commands[@]}"; do
  PATH="$PATH:/usr/sbin:/sbin" command -v "$command" >/dev/null || missing+=("$command")
done

if ((${#missing[@]} > 0)); then
  echo "setup: missing commands: ${missing[*]}" >&2
  as_root=()
  if ((EUID != 0)); then as_root=(sudo -n); fi
  if command -v apt-get >/dev/null && "${as_root[@]}" true 2>/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    update_lists
    "${as_root[@]}" apt-get install -y -qq -o DPkg::Lock::Timeout="$apt_patience" --no-install-recommends "${packages[@]}" >&2
  else
    echo "setup: install them as root, then run make setup again:" >&2
    if command -v apt-get >/dev/null; then echo "  apt-get install ${packages[*]}" >&2
    elif command -v dnf >/dev/null; then echo "  dnf install ${packages[*]/libcap2-bin/libcap}" | sed 's/radosgw/ceph-radosgw/; s/openssh-client/openssh/' >&2
    elif command -v zypper >/dev/null; then echo "  zypper install ${packages[*]/libcap2-bin/libcap-progs}" | sed 's/btrfs-progs/btrfsprogs/; s/radosgw/ceph-radosgw/; s/openssh-client/openssh-common/' >&2
    elif command -v pacman >/dev/null; then echo "  pacman -S ${packages[*]/libcap2-bin/libcap}" | sed 's/openssh-client/openssh/' >&2
    else echo "  the packages that hold: ${missing[*]}" >&2; fi
    exit 1
  fi
fi

node_major=$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0)
if ((node_major < 20)); then
  echo "setup: Node.js 20 or newer is needed, 24 is best (found: $(node --version 2>/dev/null || echo none)); see https://nodejs.org" >&2
  exit 1
fi

# Scripts may be running. So the packages are installed beside those in use, into a tree of their own, and the link node_modules is
# replaced in one step; what has begun with the old tree finds all of it there. One setup at a time.
mkdir -p .modules
exec {setups}> .modules/lock
flock "$setups"
in_use=$(readlink node_modules || :)
is_installed() { cmp -s package.json node_modules/../package.json && cmp -s package-lock.json node_modules/../package-lock.json; }
if [[ ! $in_use ]] || ! is_installed; then
  tree=.modules/$(date +%Y%m%dT%H%M%S)-$$
  mkdir "$tree"
  trap 'rm -rf "$tree"' EXIT
  cp package.json package-lock.json "$tree"
  # For who waits; a log has no use for it.
  [[ ! -t 2 ]] || echo 'setup: installing the npm packages of package-lock.json; this takes some 20 seconds' >&2
  (cd "$tree" && npm ci --no-audit --no-fund --loglevel=error >&2)
  if [[ ! $in_use && -d node_modules ]]; then
    # As npm by itself would have it.
    in_use=$tree-replaced/node_modules
    mkdir "${in_use%/*}"
    mv -T node_modules "$in_use"
  fi
  ln -s "$tree/node_modules" .modules/link
  mv -T .modules/link node_modules
  trap - EXIT
  # Older trees go, but not the one just replaced, nor one that scripts/tsx.sh has locked. One without this file is half of one.
  for old in .modules/*/; do
    [[ $old != "$tree/" && $old != "${in_use%/*}/" ]] || continue
    if [[ ! -e $old/node_modules/.package-lock.json ]]; then rm -rf "$old"
    else flock --exclusive --nonblock "$old/node_modules/.package-lock.json" rm -rf "$old" || :; fi
  done
fi
