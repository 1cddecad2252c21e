/** RESTORE.txt: how to recover by hand, stored beside the backups for the day on which this tool is not at hand. */

/** The text for one bucket and prefix. It changes only with its wording, so it is rarely rewritten. */
export function recoveryText(bucket: string, prefix: string): string {
  return `Recovering these backups by hand
================================

Below ${prefix}/subvol/ each folder is one Btrfs subvolume. You need a Btrfs filesystem, root, and the
commands aws, jq, sha256sum and btrfs (btrfs-progs 6.0 or newer); for encoded backups also zstd or age, and for
encrypted ones the identity of one of their recipients, a secret key that is not here.

1. Find the backup. current.json names the manifest of the newest one:

     aws s3 cp ${shellWord(`s3://${bucket}/${prefix}/subvol/NAME/current.json`)} -

   Every full/manifest-*.json and incremental/manifest-*.json is one backup; its name carries the time in UTC.

2. Follow the chain. A manifest's "parent_manifest" names the backup that it builds on; follow it until it is
   null: that is a full backup. Restore from the full backup to the one you want, one after the other. KEY is
   the whole key of a manifest, as "parent_manifest" and current.json give it:

     aws s3 cp "s3://${bucket}/KEY" manifest.json

3. Thaw, if the storage class is GLACIER or DEEP_ARCHIVE, every chunk of every manifest of the chain, and wait
   until head-object shows ongoing-request="false". With its manifest.json at hand:

     jq -r '.chunks[] | .key' manifest.json | while read -r key; do
       aws s3api restore-object --bucket ${bucket} --key "$key" \\
         --restore-request '{"Days":7,"GlacierJobParameters":{"Tier":"Standard"}}'
     done

4. For each manifest of the chain, oldest first, download its chunks in the order in which it lists them, check
   them, and only if all are right receive them into one directory DIR on a Btrfs filesystem. There must be room
   for the chunks beside the data:

     aws s3 cp "s3://${bucket}/KEY" manifest.json
     jq -r '.chunks[] | .key' manifest.json | while read -r key; do
       aws s3 cp "s3://${bucket}/$key" "$(basename "$key")"
     done
     jq -r '.chunks[] | .sha256 + "  " + (.key | split("/") | last)' manifest.json | sha256sum --check &&
       jq -r '.chunks[] | .key | split("/") | last' manifest.json | xargs cat | btrfs receive DIR

   Chunks are plain pieces of one "btrfs send" stream when "codec" says none twice: joined, they are the stream.

   Otherwise each chunk is a row of frames, to be decoded one by one. Download the chunks as above, and instead of
   checking and joining them (leave out age, or zstd, where "codec" says none for it; IDENTITY is the file with the
   secret key):

     jq -r '.chunks[] | (.key | split("/") | last) as $file | .frames[] | [.size, $file] | @tsv' manifest.json |
       { last=; while read -r size file; do
         if [ "$file" != "$last" ]; then at=0 last=$file; fi
         dd if="$file" bs=1M iflag=skip_bytes,count_bytes skip=$at count=$size status=none |
           age -d -i IDENTITY | zstd -dc
         at=$((at + size))
       done; } > stream
     sha256sum stream

   The digest has to be stream.sha256 of the manifest. Of an encrypted backup only its recipients can read it:

     jq -r .sealed manifest.json | base64 -d | age -d -i IDENTITY | jq -r .stream

   If it is the same, receive the stream:

     btrfs receive DIR < stream

5. DIR now holds a read-only subvolume for each backup. Take a writable snapshot of the last one:

     btrfs subvolume snapshot DIR/LAST /where/you/want/it
`;
}

/** A word for the shell, quoted where it has to be: a prefix may hold blanks and quotes. */
function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
