#!/usr/bin/env bash
# What units of earlier versions run: scripts/backup.ts with its exit codes.
cd "$(dirname "$0")/.." && exec scripts/tsx.sh scripts/backup.ts "$@"
