/** RESTORE.txt: how to recover without this tool, stored beside the backups for the day on which nothing else is at hand. */
import { addressingStyle, type RecoveryPlace } from './recovery-place.ts';
import { shellWord } from './shell-word.ts';

/**
 * The text for one bucket and prefix. It changes only with its wording, so it is rarely rewritten. Its commands, set off by five blanks,
 * can be entered as they stand but for NAME, TARGET, IDENTITY and DIR; tests follow them.
 */
export function recoveryText(place: RecoveryPlace): string {
  const { bucket, prefix } = place;
  return `How to get these backups back
=============================

Below ${prefix}/subvol/ each folder holds the backups of one Btrfs subvolume: "btrfs send" streams in pieces, and for
each backup a manifest that lists its pieces. A full backup stands alone; an incremental one needs those that it builds
on. Neither btrfs-to-s3, the program that made them, nor the old machine is needed. You need:

 - a Linux machine, root, and a Btrfs filesystem with room for the data and for the largest backup beside it
   (by hand, for encoded ones twice); any disk can be one: mkfs.btrfs /dev/sdX && mount /dev/sdX /mnt
 - the commands aws, jq and btrfs (btrfs-progs 6.2 or newer); for encoded backups also zstd and age.
   Debian: apt install awscli jq btrfs-progs zstd age
 - credentials that may read this bucket, as the aws command takes them: aws configure
 - for encrypted backups the identity of one of their recipients: a secret key, which is not in this bucket

With recover.sh
---------------

It is a bash script that lies beside this text. It downloads, checks every byte, and restores. Fetch it and look what
there is:

${addressingAdvice(place)}     aws ${optionsOf(place)} \\
       s3 cp ${shellWord(`s3://${bucket}/${prefix}/recover.sh`)} recover.sh
     bash recover.sh list

Where the list says GLACIER or DEEP_ARCHIVE, request a thaw. It takes hours; repeat the command until it says that
nothing is thawing. NAME is one of the subvolumes, and stands for its newest backup; for an earlier one write the last
column of its line instead:

     bash recover.sh thaw NAME

Restore to TARGET, a path on the Btrfs filesystem where nothing is yet. If it stops, enter it again: it goes on.

     bash recover.sh restore NAME TARGET

Encrypted backups need --identity IDENTITY in addition, the file with the secret key. If others can write to this
bucket, use a copy of recover.sh that you trust, and --signers FILE, with which it takes nothing but what was signed by
one of your keys. "bash recover.sh --help" says more.

By hand
-------

The same, step by step. Enter the blocks below one after the other in one shell, as root, with NAME, DIR, IDENTITY and
TARGET replaced.

1. Say where the backups are${place.endpoint === undefined ? '' : '. Every aws command needs the address of the server'}:

     bucket=${shellWord(bucket)}
     prefix=${shellWord(prefix)}
     aws() { command aws ${optionsOf(place)} "$@"; }
${serverAdvice(place)}
     aws s3 ls "s3://$bucket/$prefix/subvol/"

2. Choose one of the folders that this lists, and a new directory DIR on the Btrfs filesystem. The mount must show a
   whole subvolume, not a directory of one, and nothing else on that filesystem may have been received from these
   backups:

     name=NAME
     mkdir DIR && cd DIR

3. Find the backup. current.json names the manifest of the newest one:

     key=$(aws s3 cp "s3://$bucket/$prefix/subvol/$name/current.json" - | jq -r .manifest_key)

   Every full/manifest-*.json and incremental/manifest-*.json is one backup; its name carries the time in UTC. For an
   earlier one set key to the whole key of its manifest, as this lists them:

     aws s3 ls --recursive "s3://$bucket/$prefix/subvol/$name/" | grep 'manifest-.*json$'

4. Follow the chain. A manifest's "parent_manifest" names the backup that it builds on, up to a full backup. This
   prints the chain, of which the first line must say full:

     rm -f newest-first
     while [[ $key == */manifest-*.json ]]; do
       aws s3 cp "s3://$bucket/$key" . && basename "$key" >> newest-first
       key=$(jq -r .parent_manifest "$(basename "$key")")
     done
     tac newest-first > chain && jq -r '.kind + "  " + .created_at' $(cat chain)

   If they are signed, each has a signature beside it, KEY.sig. With your file of public keys, allowed_signers, this
   says whether it is good: ssh-keygen -Y verify -f allowed_signers -I SIGNER -n btrfs-to-s3 -s KEY.sig < KEY

5. Thaw every chunk of the chain, if "storage_class" in its manifest is GLACIER or DEEP_ARCHIVE:

     for manifest in $(cat chain); do
       jq -r '.chunks[] | .key' "$manifest" | while read -r key; do
         aws s3api restore-object --bucket "$bucket" --key "$key" \\
           --restore-request '{"Days":7,"GlacierJobParameters":{"Tier":"Standard"}}'
       done
     done

   InvalidObjectState means that a chunk is not archived. The others take hours. Wait until this says of each either
   ongoing-request="false", or None for one that is not archived:

     for manifest in $(cat chain); do
       jq -r '.chunks[] | .key' "$manifest" | while read -r key; do
         echo "$key: $(aws s3api head-object --bucket "$bucket" --key "$key" --query Restore --output text)"
       done
     done

6. Say how a backup becomes a stream. Chunks are plain pieces of it when "codec" in the manifest says none twice, or is
   not there. Otherwise each chunk is a row of frames, which are decoded one by one; what they make must have the digest
   that the manifest names, of an encrypted backup in "sealed", which only the identity opens:

     identity=IDENTITY
     codec() { jq -r '(.codec.compress // "none") + " " + (.codec.encrypt // "none")' "$1"; }
     decode() {
       case $1 in
         "zstd none") zstd -dc ;;
         "none age") age -d -i "$identity" ;;
         "zstd age") age -d -i "$identity" | zstd -dc ;;
       esac
     }
     decode_all() {
       local last= at=0 codec=$(codec "$1")
       jq -r '.chunks[] | (.key | split("/") | last) as $file | .frames[] | "\\(.size) \\($file)"' "$1" |
         while read -r size file; do
           [ "$file" = "$last" ] || at=0; last=$file
           dd if="$file" bs=1M iflag=skip_bytes,count_bytes skip=$at count=$size status=none | decode "$codec"
           at=$((at + size))
         done
     }
     digest() {
       if [[ $(codec "$1") == *age ]]; then jq -r .sealed "$1" | base64 -d | age -d -i "$identity" | jq -r .stream
       else jq -r .stream.sha256 "$1"; fi
     }
     checked() {
       if [[ $(codec "$1") == "none none" ]]; then
         jq -r '.chunks[] | .sha256 + "  " + (.key | split("/") | last)' "$1" | sha256sum --check
       else
         decode_all "$1" > stream && [[ $(sha256sum < stream) == "$(digest "$1")  -" ]] && rm chunk-*.bin
       fi
     }
     joined() {
       if [[ -e stream ]]; then cat stream
       else jq -r '.chunks[] | .key | split("/") | last' "$1" | xargs cat; fi
     }

7. Receive the backups, the full one first, each into a directory of its own, because their snapshots may all have one
   name. Chunks are downloaded in the order in which the manifest lists them and checked; only if all are right does
   btrfs see them. "sync" fails where the disk below, full or failing, has lost what was received. After a failure enter
   this again; what was received is kept:

     for manifest in $(cat chain); do
       into=\${manifest%.json}
       [ -e "$into.received" ] && continue
       rm -f chunk-*.bin stream; btrfs subvolume delete "$into"/* 2> /dev/null; mkdir -p "$into"
       jq -r '.chunks[] | .key' "$manifest" | while read -r key; do
         aws s3 cp "s3://$bucket/$key" "$(basename "$key")"
       done
       checked "$manifest" && joined "$manifest" | btrfs receive "$into" && sync -f "$into" ||
         { echo "$manifest was not received"; break; }
       touch "$into.received"
     done

   "btrfs receive" makes every file in the top directory, where it inherits an ACL or a compression property of that
   directory. Where "ls -ld $into/*" shows a + behind the permissions, look through the files with getfacl -R: some may
   have an ACL that they did not have, and that lets others in.

8. The last of these directories now holds a read-only subvolume, which is the backup. Take a writable snapshot of it
   to where you want it, on the same filesystem; then what is in DIR can be deleted:

     btrfs subvolume snapshot "$into"/* TARGET
     btrfs subvolume delete manifest-*/*; rm -f chunk-*.bin stream

   An empty directory at the top of TARGET with a name such as o257-7-0 is most likely not in the backup: "btrfs send"
   leaves one where a directory was deleted that had held a nested subvolume. rmdir removes it.
`;
}

function optionsOf({ endpoint, region }: RecoveryPlace): string {
  const server = endpoint === undefined ? '' : `--endpoint-url ${shellWord(endpoint)} `;
  return `${server}--region ${shellWord(region)}`;
}

/** What other servers may want: they may refuse checksums that newer aws commands ask for, or want the one style of addresses. */
function serverAdvice(place: RecoveryPlace): string {
  const checksums =
    '     export AWS_REQUEST_CHECKSUM_CALCULATION=when_required AWS_RESPONSE_CHECKSUM_VALIDATION=when_required\n';
  return `${place.endpoint === undefined ? '' : checksums}${addressingAdvice(place)}`;
}

/** Where the aws command would choose the other style of addresses. */
function addressingAdvice(place: RecoveryPlace): string {
  const style = addressingStyle(place);
  return style === undefined ? '' : `     aws configure set s3.addressing_style ${style}\n`;
}
