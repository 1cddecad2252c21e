/** RESTORE.txt: how to recover by hand, stored beside the backups for the day on which this tool is not at hand. */

import type { RecoveryPlace } from './recovery-place.ts';
import { shellWord } from './shell-word.ts';

/**
 * The text for one bucket and prefix. It changes only with its wording, so it is rarely rewritten. Its commands, set off by five blanks,
 * can be entered as they stand but for NAME, DIR and PLACE; a test follows them.
 */
export function recoveryText(place: RecoveryPlace): string {
  const { bucket, prefix } = place;
  return `Recovering these backups by hand
================================

Below ${prefix}/subvol/ each folder is one Btrfs subvolume. You need a Btrfs filesystem, root, bash, and the
commands aws, jq, sha256sum, tac and btrfs (btrfs-progs 6.2 or newer); for encoded backups also zstd
or age, and for encrypted ones the identity of one of their recipients, a secret key that is not here. Enter the blocks
below one after the other in one shell, with NAME, DIR and PLACE replaced.

1. Say where the backups are${place.endpoint === undefined ? '' : '. Every aws command needs the address of the server'}:

     bucket=${shellWord(bucket)}
     prefix=${shellWord(prefix)}
     aws() { command aws ${optionsOf(place)} "$@"; }
${serverAdvice(place)}
     aws s3 ls "s3://$bucket/$prefix/subvol/"

2. Choose one of the folders that this lists, and a new directory on a Btrfs filesystem that has room for the data and
   for the largest backup beside it. The mount must show a whole subvolume, not a directory of one, and nothing else on
   that filesystem may have been received from these backups:

     name=NAME
     mkdir DIR && cd DIR

3. Find the backup. current.json names the manifest of the newest one:

     key=$(aws s3 cp "s3://$bucket/$prefix/subvol/$name/current.json" - | jq -r .manifest_key)

   Every full/manifest-*.json and incremental/manifest-*.json is one backup; its name carries the time in UTC. For an
   earlier one set key to the whole key of its manifest, as this lists them:

     aws s3 ls --recursive "s3://$bucket/$prefix/subvol/$name/" | grep manifest-

4. Follow the chain. A manifest's "parent_manifest" names the backup that it builds on, up to a full backup. This
   prints the chain, of which the first line must say full:

     rm -f newest-first
     while [[ $key == */manifest-*.json ]]; do
       aws s3 cp "s3://$bucket/$key" . && basename "$key" >> newest-first
       key=$(jq -r .parent_manifest "$(basename "$key")")
     done
     tac newest-first > chain && jq -r '.kind + "  " + .created_at' $(cat chain)

5. Thaw every chunk of the chain, if "storage_class" in its manifest is GLACIER or DEEP_ARCHIVE:

     for manifest in $(cat chain); do
       jq -r '.chunks[] | .key' "$manifest" | while read -r key; do
         aws s3api restore-object --bucket "$bucket" --key "$key" \\
           --restore-request '{"Days":7,"GlacierJobParameters":{"Tier":"Standard"}}'
       done
     done

   That takes hours. Wait until this says ongoing-request="false" of each:

     for manifest in $(cat chain); do
       jq -r '.chunks[] | .key' "$manifest" | while read -r key; do
         echo "$key: $(aws s3api head-object --bucket "$bucket" --key "$key" --query Restore --output text)"
       done
     done

6. Receive the backups, the full one first, each into a directory of its own, because their snapshots may all have one
   name. Chunks are downloaded in the order in which the manifest lists them and checked; only if all are right does
   btrfs see them. After a failure enter this again; what was received is kept:

     for manifest in $(cat chain); do
       into=\${manifest%.json}
       [ -e "$into.received" ] && continue
       rm -f chunk-*.bin; btrfs subvolume delete "$into"/* 2> /dev/null; mkdir -p "$into"
       jq -r '.chunks[] | .key' "$manifest" | while read -r key; do
         aws s3 cp "s3://$bucket/$key" "$(basename "$key")"
       done
       jq -r '.chunks[] | .sha256 + "  " + (.key | split("/") | last)' "$manifest" | sha256sum --check &&
         jq -r '.chunks[] | .key | split("/") | last' "$manifest" | xargs cat | btrfs receive "$into" ||
         { echo "$manifest was not received"; break; }
       touch "$into.received"
     done

   Chunks are plain pieces of one "btrfs send" stream when "codec" says none twice: joined, they are the stream.

   Otherwise each chunk is a row of frames, to be decoded one by one. Download the chunks as above, and instead of
   checking and joining them (leave out age, or zstd, where "codec" says none for it; IDENTITY is the file with the
   secret key):

     jq -r '.chunks[] | (.key | split("/") | last) as $file | .frames[] | [.size, $file] | @tsv' "$manifest" |
       { last=; while read -r size file; do
         if [ "$file" != "$last" ]; then at=0 last=$file; fi
         dd if="$file" bs=1M iflag=skip_bytes,count_bytes skip=$at count=$size status=none |
           age -d -i IDENTITY | zstd -dc
         at=$((at + size))
       done; } > stream
     sha256sum stream

   The digest has to be stream.sha256 of the manifest. Of an encrypted backup only its recipients can read it:

     jq -r .sealed "$manifest" | base64 -d | age -d -i IDENTITY | jq -r .stream

   If it is the same, receive the stream:

     btrfs receive "$into" < stream && touch "$into.received"

7. The last of these directories now holds a read-only subvolume, which is the backup. Take a writable snapshot of it
   to where you want it, on the same filesystem; then what is in DIR can be deleted:

     btrfs subvolume snapshot "$into"/* PLACE
     btrfs subvolume delete manifest-*/*; rm -f chunk-*.bin
`;
}

function optionsOf({ endpoint, region }: RecoveryPlace): string {
  const server = endpoint === undefined ? '' : `--endpoint-url ${shellWord(endpoint)} `;
  return `${server}--region ${shellWord(region)}`;
}

/** What other servers may want: they may refuse checksums that newer aws commands ask for, or want the one style of addresses. */
function serverAdvice({ endpoint, isPathStyle }: RecoveryPlace): string {
  if (endpoint === undefined) return '';
  const style = isPathStyle ? 'path' : 'virtual';
  return `     export AWS_REQUEST_CHECKSUM_CALCULATION=when_required AWS_RESPONSE_CHECKSUM_VALIDATION=when_required
     aws configure set s3.addressing_style ${style}
`;
}
