#!/usr/bin/env bash
# Recovers Btrfs backups from one prefix of a bucket without the tool that made them: bash recover.sh --help
#
# It trusts neither bucket nor manifests. No byte reaches btrfs receive before its SHA-256 equals that in the manifest. What a manifest
# says is checked by jq, and used here as numbers and digests alone; keys are put together from these.
set -euo pipefail
shopt -s dotglob nullglob
umask 077
export LC_ALL=C AWS_PAGER='' AWS_RETRY_MODE=standard AWS_MAX_ATTEMPTS=5

bucket='@BUCKET@'
prefix='@PREFIX@'
region='@REGION@'
endpoint='@ENDPOINT@'   # empty for AWS
addressing='@ADDRESSING@' # path, virtual, or empty where the aws command knows by itself

namespace=btrfs-to-s3 # of signatures
piece_bytes=$((64 * 1024 * 1024))
fetches_at_once=4

usage() {
  cat <<'END'
Usage: bash recover.sh list [SUBVOLUME]
       bash recover.sh thaw SUBVOLUME|MANIFEST [--tier Standard|Bulk|Expedited] [--days 7] [--identity FILE] [--signers FILE]
       bash recover.sh restore SUBVOLUME|MANIFEST TARGET [--identity FILE] [--signers FILE] [--no-spool]

  list      every backup; the last column is its MANIFEST
  thaw      requests what is archived of a backup and of those that it builds on, and says how far it is; can be repeated
  restore   to TARGET, a path on Btrfs where nothing is; as root. A SUBVOLUME means its newest backup. What stopped goes on when the same
            command is run again: it keeps its files beside TARGET, in .recover-…, and removes them at the end

  --identity FILE   the secret key of encrypted backups: of age, or of SSH without a passphrase
  --signers FILE    accepts nothing but manifests signed by one of this allowed_signers file (ssh-keygen(1))
  --no-spool        keeps no downloads on disk: needs less room, but a backup that was stopped is downloaded again

Credentials are those of the aws command, such as AWS_PROFILE or AWS_ACCESS_KEY_ID.
Exit codes: 0 done, 1 failed, 2 wrong usage or identity, 3 another run is at work, 4 damage, 5 not thawed yet.
END
}

# Words of a server or manifest may hold what a terminal obeys.
say() { printf 'recover.sh: %s\n' "${*//[[:cntrl:]]/?}" >&2; }

# die CODE MESSAGE
die() {
  say "$2"
  [[ ! -d ${scratch-} ]] || printf '%s\n' "$1" > "$scratch/code"
  exit "$1"
}

need() {
  local program
  for program; do command -v "$program" > /dev/null || die 1 "$program is not installed"; done
}

# ---- the bucket

# ask ANSWER WORDS…: asks the server; what it answers goes to the file ANSWER, the last line of what it complains of to `said`.
said=
ask() {
  local answer=$1
  shift
  if said=$(aws "${server[@]}" --region "$region" --output json s3api "$@" 2>&1 > "$answer" < /dev/null 9>&-); then return 0; fi
  said=${said##*$'\n'}
  return 1
}

# fetch KEY FILE [FIRST-LAST]: an object, or bytes of it, into a file that is there only when all of it is.
fetch() {
  local key=$1 file=$2 pause range=() part
  # A name of its own: a download that outlived an earlier run may still be written.
  part=$file.$BASHPID.tmp
  [[ -z ${3-} ]] || range=(--range "bytes=$3")
  for pause in 1 5 20 60 0; do
    if ask /dev/null get-object --bucket="$bucket" --key="$key" "${range[@]}" "$part"; then
      mv -f -- "$part" "$file"
      return 0
    fi
    rm -f -- "$part"
    case $said in
      *'(NoSuch'* | *'(404)'* | *'(403)'* | *'(AccessDenied)'* | *'(InvalidObjectState)'* | *'(InvalidAccessKeyId)'*) return 1 ;;
      *'(SignatureDoesNotMatch)'* | *[Cc]redentials* | *'config profile'* | *'No space left'*) return 1 ;;
    esac
    ((pause == 0)) || sleep "$pause"
  done
  return 1
}

# refuse WHAT: ends with what the server said.
refuse() {
  case $said in
    *'(NoSuchKey)'* | *'(404)'*) die 4 "$1 is not in the bucket" ;;
    *'(InvalidObjectState)'*) die 5 "$1 is archived: run recover.sh thaw, and this again when it says that all is readable" ;;
    *[Cc]redentials* | *'config profile'*) die 2 "$1 cannot be read: $said" ;;
    *) die 1 "$1 cannot be read: $said" ;;
  esac
}

# take_inventory [SUBVOLUME]: fills size_of and class_of by key, as far as keys are of this layout, and `manifests`, oldest first.
declare -A size_of class_of
manifests=()
take_inventory() {
  local root=$prefix/subvol/ size class rest
  ask "$scratch/listing" list-objects-v2 --bucket="$bucket" --prefix="$root${1:+$1/}" --query 'Contents[].[Key,Size,StorageClass]' ||
    refuse "s3://$bucket/$root"
  while IFS=$'\t' read -r size class rest; do
    size_of[$root$rest]=$size class_of[$root$rest]=$class
  done < <(jq -r --arg root "$root" '(. // [])[] | select(.[0] | startswith($root))
    | .[0] |= .[($root | length):]
    | select(.[0] | test("\\A[A-Za-z0-9._-]+/(full|incremental)/(chunk-[0-9]{8}T[0-9]{6}Z-[0-9]{1,8}\\.bin|manifest-[0-9]{8}T[0-9]{6}Z\\.json)\\z"))
    | select(.[1] | type == "number") | [.[1], (.[2] // "STANDARD" | gsub("[^A-Z0-9_]"; "") | if . == "" then "OTHER" else . end), .[0]] | @tsv' "$scratch/listing")
  mapfile -t manifests < <(for rest in "${!size_of[@]}"; do
    name_backup "$rest" && printf '%s %s\n' "$time" "$rest"
  done | sort | cut -d ' ' -f 2-)
}

# ---- manifests and chains

# name_backup KEY: sets subvolume, kind and time from the key of a manifest; fails for any other.
name_backup() {
  [[ $1 == "$prefix/subvol/"* ]] || return 1
  [[ ${1#"$prefix/subvol/"} =~ ^([A-Za-z0-9._-]+)/(full|incremental)/manifest-([0-9]{8}T[0-9]{6}Z)\.json$ ]] || return 1
  subvolume=${BASH_REMATCH[1]} kind=${BASH_REMATCH[2]} time=${BASH_REMATCH[3]}
  is_name "$subvolume"
}

# is_name NAME: whether a subvolume can be called so.
is_name() { [[ $1 =~ ^[A-Za-z0-9._-]+$ && $1 != . && $1 != .. ]]; }

# check_which SUBVOLUME|MANIFEST: sets subvolume.
check_which() {
  if [[ $1 == */* ]]; then
    name_backup "$1" || die 2 "$1 is not the key of a manifest under $prefix/: recover.sh list shows them"
  else
    is_name "$1" || die 2 "$1 is neither a subvolume nor the key of a manifest"
    subvolume=$1
  fi
}

# What jq does with a manifest. `facts` gives one line, or `bad` and why; the others what there is to fetch, part by part and frame by frame.
# shellcheck disable=SC2016 # jq's variables
manifest_program='
def whole($least; $most): type == "number" and . == floor and . >= $least and . <= $most;
def word($pattern): type == "string" and test("\\A(" + $pattern + ")\\z");
def uuid: word("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}");
def largest: 53687091200000;
def places: .subvolume as $name | "\($root)\($name)/" as $own | .chunks[].key
  | if type == "string" and startswith($own) then .[($own | length):] else "" end;
def parts:
  if .frames then foreach (.frames[].size, null) as $size ({bytes: 0, frames: 0};
    (if .done then {bytes: 0, frames: 0} else . end)
    | if $size == null then .done = (.frames > 0)
      else .bytes += $size | .frames += 1 | .done = (.bytes >= 5242880) end;
    select(.done) | [.bytes, .frames])
  elif .parts then . as $chunk | ($chunk.part_size // $chunk.size) as $bytes
    | range($chunk.parts | length) | [([$bytes, $chunk.size - . * $bytes] | min), 0]
  else empty end;
def pieces:
  if .parts then foreach (parts, null) as $part ({offset: 0, bytes: 0, parts: 0, frames: 0};
    (if .done then {offset: (.offset + .bytes), bytes: 0, parts: 0, frames: 0} else . end)
    | if $part == null then .done = (.parts > 0)
      else .bytes += $part[0] | .parts += 1 | .frames += $part[1] | .done = (.bytes >= $piece) end;
    select(.done) | [.offset, .bytes, .parts, .frames, "-", 0])
  else . as $chunk | range(0; $chunk.size; $piece)
    | [., ([$piece, $chunk.size - .] | min), 0, 0, $chunk.sha256, (if . + $piece >= $chunk.size then 1 else 0 end)] end;
def chunk_problem: . as $chunk
  | if .size | whole(1; largest) | not then "a size"
    elif .parts == null and (.sha256 | word("[0-9a-f]{64}") | not) then "a SHA-256"
    elif .parts == null and .frames != null then "the SHA-256 of frames"
    elif .parts != null and ((.parts | type) != "array" or (.parts | length) > 10000 or any(.parts[]; word("[A-Za-z0-9+/]{43}=") | not)) then "the SHA-256 of a part"
    elif .part_size != null and (.part_size | whole(1; 5368709120) | not) then "a part size"
    elif .frames != null and ((.frames | type) != "array" or any(.frames[];
      (.size | whole(1; 1100000000)) and (.plain_size | whole(1; 1073741824)) | not)) then "a frame"
    elif .parts != null and ([parts] | length != ($chunk.parts | length) or (map(.[0]) | any(.[]; . < 1) or add != $chunk.size)) then "the number of parts"
    else empty end;
def problem:
  if type != "object" then "it is not a manifest"
  elif .version != 1 then "it is of version \(.version | tojson), which this script cannot read"
  elif .codec != null and (.codec | (type != "object") or (to_entries | any(.[];
    (.value == "none" or (.key == "compress" and .value == "zstd") or (.key == "encrypt" and .value == "age")) | not)))
    then "it has a codec that this script cannot read: \(.codec | tojson | .[:200])"
  elif .subvolume != $subvolume or .kind != $kind or .created_at != $time then "it is of another backup than its key"
  elif (.parent_manifest == null) != (.kind == "full") then "its kind does not fit its parent"
  elif .parent_manifest != null and (.parent_manifest | word("[^\\x00-\\x1f\u007f-\u009f]{1,1024}") | not) then "its parent is no key"
  elif .chunks | type != "array" or length < 1 or length > 100000 then "it has no chunks"
  elif any(places; word("(full|incremental)/chunk-[0-9]{8}T[0-9]{6}Z-[0-9]{1,8}\\.bin") | not) then "a chunk is not of this subvolume"
  elif [places] | length != (unique | length) then "a chunk is there twice"
  elif first(.chunks[] | chunk_problem) // null | . != null then "it has a chunk with " + first(.chunks[] | chunk_problem) + " that cannot be"
  elif ((.codec // {} | [.[]] | any(.[]; . != "none")) as $encoded | any(.chunks[]; (.frames != null) != $encoded)) then "its frames do not fit its codec"
  elif ([.chunks[].size] | add) != .total_bytes or .total_bytes > 1000000000000000 then "its chunks do not add up"
  elif (.snapshot | type) != "object" or (.snapshot | [.uuid, .parent_uuid, .received_uuid] | any(.[]; . != null and (uuid | not))) then "its snapshot has no UUIDs"
  elif .snapshot.mtime != null and (.snapshot.mtime | word("-?[0-9]{1,16}\\.[0-9]{9}") | not) then "its time is none"
  elif .snapshot | [.transid, .parent_transid] | any(.[]; . != null and (whole(0; 9007199254740992) | not)) then "a state of its snapshot is none"
  elif .stream != null and ((.stream.protocol | whole(1; 99) | not) or (.stream.sha256 != null and (.stream.sha256 | word("[0-9a-f]{64}") | not))) then "its stream is none"
  elif .sealed != null and (.sealed | word("[A-Za-z0-9+/]+={0,2}") | not) then "its sealed digests are none"
  elif .codec.encrypt == "age" and .sealed == null then "its sealed digests are missing"
  else empty end;
def facts:
  (.snapshot | .received_uuid // .uuid // "-"), (.snapshot.uuid // "-"), (.snapshot.parent_uuid // "-"),
  (.snapshot | if .parent_continued then "-" else .parent_transid // "-" end), (.snapshot.transid // "-"), (.snapshot.mtime // "-"),
  (.stream.protocol // 1), (.stream.sha256 // "-"), (.codec.compress // "none"), (.codec.encrypt // "none"), .total_bytes,
  ([.chunks[] | (.frames // [])[] | .plain_size] | add // 0);
if $what == "facts" then (first(problem) // null) as $why | if $why == null then [facts] else ["bad", $why] end | @tsv
elif $what == "pieces" then [[places], [.chunks[] | [pieces]]] | transpose[] | .[0] as $place | .[1][] | [$place, .[]] | @tsv
elif $what == "parts" then .chunks[] | parts | .[0]
elif $what == "digests" then .chunks[] | (.parts // [])[]
elif $what == "frames" then .chunks[] | (.frames // [])[] | "\(.size) \(.plain_size)"
else empty end'

# Reads a manifest: about FILE WHAT, of the backup that name_backup has named.
about() {
  jq -r --arg what "$2" --arg root "$prefix/subvol/" --arg subvolume "$subvolume" --arg kind "$kind" --arg time "$time" \
    --argjson piece "$piece_bytes" "$manifest_program" "$1"
}

# read_facts FILE KEY: sets the facts of a manifest. Ends where it cannot be used. They are kept: a chain is gone through several times.
declare -A facts_of
read_facts() {
  local line=${facts_of[$1]-}
  if [[ -z $line ]]; then
    line=$(about "$1" facts 2> /dev/null) || line=$'bad\tit is not a manifest'
    facts_of[$1]=$line
  fi
  [[ $line != bad$'\t'* ]] || die 4 "manifest $2 cannot be used: ${line#*$'\t'}"
  IFS=$'\t' read -r uuid own_uuid parent_uuid parent_state own_state mtime protocol stream_sha compress encrypt stored_bytes plain_bytes <<< "$line"
}

# get_manifest KEY: into $scratch, checked, also its signature where signers are named. Sets `file` and the facts.
get_manifest() {
  name_backup "$1" || die 2 "$1 is not the key of a manifest under $prefix/: recover.sh list shows them"
  file=$scratch/$kind-$time
  if [[ ! -e $file ]]; then
    fetch "$1" "$file.got" || {
      # Where a lifecycle rule has moved it.
      if [[ $verb == thaw && $said == *'(InvalidObjectState)'* ]]; then
        request "$1" "${class_of[$1]-}" || :
        die 5 "manifest $1 is archived itself, and requested: run this again in some hours"
      fi
      refuse "manifest $1"
    }
    [[ -z $signers ]] || check_signature "$1" "$file.got"
    mv -f -- "$file.got" "$file"
  fi
  read_facts "$file" "$1"
}

# check_signature KEY FILE
check_signature() {
  local key=$1 file=$2 principal principals at=()
  fetch "$key.sig" "$scratch/signature" || {
    [[ $said != *'(NoSuchKey)'* && $said != *'(404)'* ]] || die 4 "manifest $key is not signed"
    refuse "$key.sig"
  }
  # A key that was valid then. Older versions of ssh-keygen do not know the option.
  [[ $(< "$signers") != *valid-* ]] || at=(-Overify-time="${time/T/}")
  principals=$(ssh-keygen -Y find-principals -f "$signers" -s "$scratch/signature" "${at[@]}" 2> /dev/null) ||
    die 4 "manifest $key is signed by no signer in $signers"
  while IFS= read -r principal; do
    if ssh-keygen -Y verify -f "$signers" -I "$principal" -n "$namespace" -s "$scratch/signature" "${at[@]}" < "$file" > /dev/null 2>&1; then
      return 0
    fi
  done <<< "$principals"
  die 4 "manifest $key was changed after it was signed"
}

# newest_of SUBVOLUME: the key that current.json names, in `key`. It is not signed: with signers, no signed manifest may be newer.
newest_of() {
  local newer code mine
  ((${#manifests[@]} > 0)) || die 2 "there is no backup of $1 under $prefix/: recover.sh list shows what there is"
  fetch "$prefix/subvol/$1/current.json" "$scratch/current" || {
    [[ $said != *'(NoSuchKey)'* && $said != *'(404)'* ]] ||
      die 4 "$prefix/subvol/$1/current.json is not in the bucket: choose one of recover.sh list by its MANIFEST"
    refuse "$prefix/subvol/$1/current.json"
  }
  key=$(jq -r '.manifest_key | strings' "$scratch/current" 2> /dev/null) || key=
  if ! name_backup "$key" || [[ $subvolume != "$1" ]]; then
    die 4 "$prefix/subvol/$1/current.json names no backup of $1: choose one of recover.sh list by its MANIFEST"
  fi
  [[ -n $signers ]] || return 0
  mine=$time
  for newer in "${manifests[@]}"; do
    name_backup "$newer"
    [[ $time > $mine ]] || continue
    code=0
    (get_manifest "$newer") 2> "$scratch/why" || code=$?
    ((code != 0)) || die 4 "current.json names $key, but $newer is newer and signed: an old pointer was put back, or a backup is being published; name the MANIFEST that is meant"
    ((code == 4)) || { cat -- "$scratch/why" >&2 && exit "$code"; }
    say "passing over $newer, which is newer than $key: $(tail -n 1 -- "$scratch/why")"
  done
}

# follow_chain SUBVOLUME|MANIFEST: the keys, the full backup first, in `chain`.
chain=()
declare -A uuid_of
follow_chain() {
  local key=$1 child='' child_uuid child_state whose
  check_which "$key"
  take_inventory "$subvolume"
  [[ $1 == */* ]] || newest_of "$1"
  while :; do
    [[ " ${chain[*]} " != *" $key "* ]] || die 4 "$key builds on itself"
    get_manifest "$key"
    if [[ -n $child ]]; then
      [[ $child_uuid == - || $own_uuid == - || $child_uuid == "$own_uuid" || $child_uuid == "$uuid" ]] ||
        die 4 "$child builds on another snapshot than that of $key"
      [[ $child_state == - || $own_state == - || $child_state == "$own_state" ]] || die 4 "$child builds on another state than that of $key"
    fi
    chain=("$key" "${chain[@]}") uuid_of[$key]=$uuid
    child=$key child_uuid=$parent_uuid child_state=$parent_state
    [[ $kind != full ]] || return 0
    whose=$subvolume
    key=$(jq -r .parent_manifest "$file")
    if ! name_backup "$key" || [[ $subvolume != "$whose" ]]; then die 4 "$child builds on $key, which is not a backup of this subvolume"; fi
  done
}

# chunks_of FILE: the keys of its chunks.
chunks_of() { jq -r '.chunks[].key' "$1"; }

# state_of KEY: readable, cold or thawing.
state_of() {
  case ${class_of[$1]} in GLACIER | DEEP_ARCHIVE | INTELLIGENT_TIERING) ;; *) echo readable && return ;; esac
  ask "$scratch/head" head-object --bucket="$bucket" --key="$1" || refuse "$1"
  jq -r 'if .StorageClass == "INTELLIGENT_TIERING" and .ArchiveStatus == null then "readable"
    elif .Restore == null then "cold" elif .Restore | test("ongoing-request=\"true\"") then "thawing"
    elif .StorageClass == "INTELLIGENT_TIERING" then "cold" else "readable" end' "$scratch/head"
}

# request KEY CLASS: requests a thaw; fails where one is under way.
request() {
  local words
  words=$(jq -n --arg tier "$tier" --argjson days "$days" --arg class "$2" \
    '(if $class == "INTELLIGENT_TIERING" then {} else {Days: $days} end) + {GlacierJobParameters: {Tier: $tier}}')
  ask /dev/null restore-object --bucket="$bucket" --key="$1" --restore-request "$words" && return 0
  [[ $said == *RestoreAlreadyInProgress* ]] || die 1 "$1 cannot be thawed: $said"
  return 1
}

# ---- verbs

list() {
  local manifest last='' chunk bytes
  declare -A bytes_of kept_as
  take_inventory "${1-}"
  ((${#manifests[@]} > 0)) || die 1 "there are no backups under s3://$bucket/$prefix/subvol/${1-}"
  for chunk in "${!size_of[@]}"; do
    [[ $chunk =~ ^(.*)/chunk-([0-9]{8}T[0-9]{6}Z)-[0-9]+\.bin$ ]] || continue
    manifest=${BASH_REMATCH[1]}/manifest-${BASH_REMATCH[2]}.json
    bytes_of[$manifest]=$((${bytes_of[$manifest]-0} + ${size_of[$chunk]})) kept_as[$manifest]=${class_of[$chunk]}
  done
  for manifest in "${manifests[@]}"; do
    name_backup "$manifest"
    bytes=$(numfmt --to=iec-i --suffix=B "${bytes_of[$manifest]-0}")
    printf '%s\t%s  %-11s  %8s  %-12s  %s\n' "$subvolume" "$time" "$kind" "$bytes" "${kept_as[$manifest]-missing}" "$manifest"
  done | sort -s -t $'\t' -k 1,1 | while IFS=$'\t' read -r subvolume rest; do
    [[ $subvolume == "$last" ]] || printf '%s\n' "$subvolume"
    last=$subvolume
    printf '  %s\n' "$rest"
  done
}

thaw() {
  local key chunk state readable=0 asked=0 thawing=0
  follow_chain "$1"
  # What cannot be decoded need not be paid for.
  [[ -z $identity ]] || check_decoding
  for key in "${chain[@]}"; do
    get_manifest "$key"
    [[ $encrypt == none || -n $identity ]] || say "$key is encrypted: a restore will need --identity; given here, it is tried before anything is requested"
    while IFS= read -r chunk; do
      [[ -n ${class_of[$chunk]-} ]] || die 4 "$chunk is not in the bucket"
      state=$(state_of "$chunk")
      case $state in
        readable) readable=$((readable + 1)) && continue ;;
        thawing) thawing=$((thawing + 1)) && continue ;;
      esac
      if request "$chunk" "${class_of[$chunk]}"; then asked=$((asked + 1)); else thawing=$((thawing + 1)); fi
    done < <(chunks_of "$file")
  done
  printf 'chunks readable: %d, requested now: %d, thawing already: %d\n' "$readable" "$asked" "$thawing"
  ((asked + thawing == 0)) || exit 5
}

restore() {
  local target=${2-} parent
  [[ -n $target ]] || die 2 "say where to restore to: recover.sh restore SUBVOLUME TARGET"
  need btrfs stat df dd od base64 sha256sum touch paste tee sync
  parent=$(cd -- "$(dirname -- "$target")" 2> /dev/null && pwd -P) || die 2 "$(dirname -- "$target") is not a directory"
  target=${parent%/}/$(basename -- "$target")
  if [[ $(stat -f -c %T -- "$parent") != btrfs ]]; then
    [[ ! -d $target || $(stat -f -c %T -- "$target") != btrfs ]] || die 2 "$target is there already: name a path below it, such as $target/restored"
    die 2 "$parent is not on a Btrfs filesystem"
  fi
  ((EUID == 0)) || die 2 "a restore has to run as root"
  staging=${parent%/}/.recover-$(basename -- "$target")
  # With it, a run was stopped between its last two steps.
  [[ -e $staging/target || ! (-e $target || -L $target) ]] || die 2 "$target is there already, and nothing is restored over it"
  mkdir -p -- "$staging"
  # Its owner decides what is in it, and so what is restored; a link could lead the lock to any file.
  [[ ! -L $staging && -O $staging ]] || die 2 "$staging is not yours: whoever made it could change what is restored. Remove it, or choose a TARGET in a directory of your own"
  if command -v flock > /dev/null; then
    exec 9> "$staging/lock"
    flock -n 9 || die 3 "another recover.sh, or a btrfs receive that it left, works in $staging"
  fi
  if [[ -e $target || -L $target ]]; then
    finish_earlier "$1"
    return
  fi
  follow_chain "$1"
  check_place "$parent"
  check_decoding
  check_chunks "$1"
  receive_chain
  if [[ -e $staging/new ]]; then btrfs subvolume delete "$staging/new" > /dev/null; fi
  btrfs subvolume snapshot "$staging/chain/$received_as" "$staging/new" > /dev/null || die 1 "no snapshot could be taken of $staging/chain/$received_as"
  [[ $mtime == -* ]] || touch -d "@$mtime" -- "$staging/new"
  btrfs filesystem sync "$staging" > /dev/null
  printf '%s\n%s\n' "$(property "$staging/new" UUID)" "${chain[-1]}" > "$staging/target"
  mv -T -n -- "$staging/new" "$target"
  [[ ! -e $staging/new ]] || die 1 "$target came into being meanwhile: move it away, and run this again"
  finish "$target"
}

# finish_earlier SUBVOLUME|MANIFEST: TARGET is in place since an earlier run, if it is the backup that is meant now.
finish_earlier() {
  local there_uuid='' there='' key=$1
  { read -r there_uuid && IFS= read -r there; } < "$staging/target" || :
  [[ -n $there_uuid && $(property "$target" UUID) == "$there_uuid" ]] || die 2 "$target is there already, and nothing is restored over it"
  check_which "$key"
  if [[ $key != */* ]]; then
    take_inventory "$key"
    newest_of "$key"
  fi
  [[ -z $there || $key == "$there" ]] || die 2 "$target is there already, from $there, and $key is meant: choose another TARGET, or name that MANIFEST to end its restore"
  finish "$target"
}

finish() {
  local each
  for each in "$staging"/chain/*; do btrfs subvolume delete -- "$each" > /dev/null || die 1 "$each could not be deleted, but $1 is restored"; done
  [[ ! -e $staging/inherits ]] || say "the top directory of $1 has an ACL or a compression property, and btrfs receive hands both down: files may have them now that had none, and an ACL may let others in. Look through them with getfacl -R; btrfs-to-s3 itself restores them as they were"
  name_strays "$1"
  rm -rf -- "$staging"
  printf 'restored %s\n' "$1"
}

# name_strays TARGET: names the empty directories at its top that look like those that btrfs send leaves behind. Only their owner knows
# whether they are.
name_strays() {
  local each within found=()
  for each in "$1"/o*-*-*; do
    [[ ${each##*/} =~ ^o[0-9]+-[0-9]+-[0-9]+$ && -d $each && ! -L $each ]] || continue
    within=("$each"/*)
    ((${#within[@]} > 0)) || found+=("$each")
  done
  ((${#found[@]} > 0)) || return 0
  each=${found[0]}
  ((${#found[@]} == 1)) || each="$each, like $((${#found[@]} - 1)) more beside it,"
  say "$each is empty, and most likely not in the backup: btrfs send leaves such a directory where one was deleted that had held a nested subvolume. Unless the name is yours, remove it with rmdir"
}

# ---- before the first byte

check_place() {
  local mount seen key line version
  mount=$(df --output=target -- "$1" | tail -n 1)
  [[ ${#chain[@]} == 1 || $(stat -c %i -- "$mount") == 256 ]] ||
    die 2 "$mount is a mount of a directory, where btrfs receive finds no parent: mount the filesystem itself, as with: mount -o subvolid=5"
  version=$(btrfs --version)
  for key in "${chain[@]}"; do
    get_manifest "$key"
    [[ $protocol == 1 || ! $version =~ v([0-9]+)\.([0-9]+) ]] || ((BASH_REMATCH[1] > 6 || (BASH_REMATCH[1] == 6 && BASH_REMATCH[2] >= 2))) ||
      die 1 "${version%%$'\n'*} is too old for these streams: 6.2 or newer is needed"
  done
  # btrfs receive takes the first subvolume with the UUID of a parent, whichever that is.
  ((${#chain[@]} > 1)) || return 0
  btrfs subvolume list -R "$mount" > "$scratch/subvolumes" || die 1 "the subvolumes of $mount cannot be listed"
  while IFS= read -r line; do
    [[ $line =~ received_uuid\ ([0-9a-f-]{36})\ +path\ (.*)$ ]] || continue
    seen=${BASH_REMATCH[1]} line=${BASH_REMATCH[2]}
    [[ $line != *"${staging##*/}/chain/"* ]] || continue
    for key in "${chain[@]}"; do
      [[ ${uuid_of[$key]} != "$seen" ]] || die 1 "the subvolume $line of this filesystem was received from the same backup, and btrfs receive could take it for the parent: restore to another filesystem, or delete it"
    done
  done < "$scratch/subvolumes"
}

# Programs, and whether the identity opens what is encrypted.
check_decoding() {
  local key
  for key in "${chain[@]}"; do
    get_manifest "$key"
    [[ $compress == none ]] || need zstd
    [[ $encrypt != none ]] || continue
    need age
    [[ -n $identity ]] || die 2 "$key is encrypted: name the secret key with --identity FILE"
    jq -r .sealed "$file" | base64 -d | age -d -i "$identity" > "$file.sealed" 2> "$scratch/why" ||
      die 2 "$identity does not open $key: $(head -n 1 -- "$scratch/why")"
    jq -e --slurpfile manifest "$file" '$manifest[0] as $m | (.frames | map(length)) == ($m.chunks | map(.frames | length))
      and .backup == {subvolume: $m.subvolume, kind: $m.kind, created_at: $m.created_at, snapshot_uuid: $m.snapshot.uuid, parent_manifest: $m.parent_manifest}
      and all(.frames[][]; type == "string" and test("\\A[A-Za-z0-9+/]{43}=\\z"))' "$file.sealed" > /dev/null 2>&1 ||
      die 4 "manifest $key cannot be used: its sealed digests are of another backup"
  done
}

check_chunks() {
  local key chunk size state cold=0
  for key in "${chain[@]}"; do
    get_manifest "$key"
    while IFS=$'\t' read -r size chunk; do
      [[ ${size_of[$chunk]-none} != none ]] || die 4 "$chunk is not in the bucket"
      [[ ${size_of[$chunk]} == "$size" ]] || die 4 "$chunk has ${size_of[$chunk]} bytes, and should have $size"
      state=$(state_of "$chunk")
      [[ $state == readable ]] || cold=$((cold + 1))
    done < <(jq -r '.chunks[] | "\(.size)\t\(.key)"' "$file")
  done
  ((cold == 0)) || die 5 "$cold chunks are archived: run recover.sh thaw $1, and this again when it says that all are readable"
}

# ---- the stream

# property PATH NAME: what btrfs says of a subvolume; nothing where it is none.
property() {
  local line
  while IFS= read -r line; do
    [[ $line =~ ^[[:space:]]+"$2":[[:space:]]*(.*)$ ]] || continue
    printf '%s\n' "${BASH_REMATCH[1]}"
    return
  done < <(btrfs subvolume show -- "$1" 2> /dev/null)
}

# is_received PATH UUID: read-only, and received as that.
is_received() {
  [[ $(property "$1" Flags) == *readonly* ]] || return 1
  if [[ $2 == - ]]; then [[ $(property "$1" 'Received UUID') != - ]]; else [[ $(property "$1" 'Received UUID') == "$2" ]]; fi
}

# digest_up_to POSITION: of the manifests of the chain up to there. Any of them may have been another one, unsigned, in an earlier run.
digest_up_to() {
  local key
  for key in "${chain[@]:0:$1+1}"; do
    get_manifest "$key"
    sha256sum < "$file"
  done | sha256sum | cut -d ' ' -f 1
}

# Receives what is not received yet. staging/received says what is: the digest of manifests, the UUID of the subvolume, and the key of the last one.
received_as=
receive_chain() {
  local key done_key='' done_sha='' done_uuid='' first=0 position entry
  mkdir -p -- "$staging/chain"
  [[ ! -e $staging/received ]] || { read -r done_sha done_uuid && IFS= read -r done_key; } < "$staging/received"
  for position in "${!chain[@]}"; do
    [[ ${chain[position]} == "$done_key" ]] || continue
    get_manifest "$done_key"
    entry=$staging/chain/.received-$kind-$time
    if [[ $(digest_up_to "$position") == "$done_sha" && $(property "$entry" UUID) == "$done_uuid" ]] && is_received "$entry" "$uuid"; then
      say "$done_key is received already"
      first=$((position + 1)) received_as=${entry##*/}
    fi
  done
  sweep
  # The kernel reports a lost write once, to the next sync: an earlier one would be taken for one of ours.
  sync -f -- "$staging" 2> /dev/null || :
  for ((position = first; position < ${#chain[@]}; position++)); do receive_backup "${chain[position]}" "$position"; done
  get_manifest "${chain[-1]}"
}

# receive_backup KEY POSITION: one stream, into staging/chain, where its parent is; then its parent goes.
receive_backup() {
  local key=$1 before=$received_as entry found=() digest
  get_manifest "$key"
  work=$staging/$kind-$time
  [[ ! -e $work/manifest || $(sha256sum < "$work/manifest") == "$(sha256sum < "$file")" ]] || rm -rf -- "$work"
  mkdir -p -- "$work"
  rm -f -- "$work"/*.tmp "$work"/*.got
  cp -- "$file" "$work/manifest"
  [[ $encrypt == none ]] || jq -r '.frames[][]' "$file.sealed" | hexed > "$work/plain"
  about "$file" pieces > "$work/pieces"
  about "$file" digests | hexed > "$work/digests"
  about "$file" parts | paste -d ' ' - "$work/digests" > "$work/parts"
  about "$file" frames > "$work/frames"
  plan
  if [[ $spools == yes ]]; then fetch_all; fi
  say "receiving $key"
  rm -f -- "$scratch/code"
  if ! digest=$({ stream | tee /dev/fd/3 | btrfs receive --quiet --chroot -- "$staging/chain" > /dev/null 2> "$scratch/receive" 3>&-; } 3>&1 | sha256sum); then
    sweep
    [[ ! -e $scratch/code ]] || exit "$(< "$scratch/code")"
    die 1 "btrfs receive failed: $(tail -n 1 -- "$scratch/receive")"
  fi
  if [[ $stream_sha != - && $digest != "$stream_sha "* ]]; then
    sweep
    die 4 "the stream of $key is not the one that was backed up"
  fi
  for entry in "$staging"/chain/*; do [[ ${entry##*/} == "$before" ]] || found+=("$entry"); done
  if [[ ${#found[@]} != 1 ]] || ! is_received "${found[0]}" "$uuid"; then
    sweep
    die 4 "btrfs receive made something else of $key than a read-only copy of its snapshot"
  fi
  # btrfs receive makes every file in the top directory before it moves it to its place, where it inherits these.
  if [[ $(ls -ld -- "${found[0]}") =~ ^[^[:space:]]+[+] || -n $(btrfs property get -ti "${found[0]}" compression 2> /dev/null) ]]; then
    : > "$staging/inherits"
  fi
  # What a full or failing disk below the filesystem did not take, the kernel tells only who asks.
  if ! sync -f -- "$staging" 2> "$scratch/sync"; then
    sweep
    die 1 "not all that was written to $staging has reached its disk: $(tail -n 1 -- "$scratch/sync")"
  fi
  received_as=.received-$kind-$time
  # A read-only subvolume can be renamed in its directory, and chains may use one name for all.
  mv -T -- "${found[0]}" "$staging/chain/$received_as"
  btrfs filesystem sync "$staging" > /dev/null
  printf '%s %s\n%s\n' "$(digest_up_to "$2")" "$(property "$staging/chain/$received_as" UUID)" "$key" > "$staging/received.tmp"
  mv -f -- "$staging/received.tmp" "$staging/received"
  [[ -z $before ]] || btrfs subvolume delete -- "$staging/chain/$before" > /dev/null
  rm -rf -- "$work"
}

# sweep: removes what was not received whole.
sweep() {
  local entry
  for entry in "$staging"/chain/*; do
    [[ ${entry##*/} == "$received_as" ]] || btrfs subvolume delete -- "$entry" > /dev/null || die 1 "$entry could not be deleted"
  done
}

# Digests in base64, a line each, as hex.
hexed() { base64 -d | od -A n -v -t x1 -w32 | tr -d ' '; }

# Reads the plan of a backup into arrays, and decides whether its downloads are kept.
plan() {
  local line free missing=0 number parts frames bytes
  mapfile -t pieces < "$work/pieces"
  mapfile -t part_lines < "$work/parts"
  mapfile -t frame_lines < "$work/frames"
  plain_shas=()
  [[ $encrypt == none ]] || mapfile -t plain_shas < "$work/plain"
  # Where the parts and frames of each piece begin.
  first_part=(0) first_frame=(0)
  for number in "${!pieces[@]}"; do
    IFS=$'\t' read -r _ _ bytes parts frames _ <<< "${pieces[number]}"
    first_part+=($((first_part[number] + parts)))
    first_frame+=($((first_frame[number] + frames)))
    [[ -e $work/$number ]] || missing=$((missing + bytes))
  done
  spools=$spool
  free=$(df --output=avail -B 1 -- "$staging" | tail -n 1)
  ((plain_bytes > 0)) || plain_bytes=$stored_bytes
  if ((free < plain_bytes)); then
    say "$((free >> 20)) MiB are free, and this backup brings $((plain_bytes >> 20)) MiB: it may not fit"
  fi
  if [[ $spools == yes ]] && ((free < plain_bytes + missing)); then
    say "there is no room to keep what is downloaded: if this stops, this backup is downloaded again"
    spools=no
  fi
}

# fetch_piece NUMBER: into the file of that number, which is there only when it is verified. What is there is verified again.
fetch_piece() {
  local number=$1 place offset bytes
  IFS=$'\t' read -r place offset bytes _ <<< "${pieces[number]}"
  if [[ -e $work/$number ]] && is_whole "$work/$number" "$number"; then return 0; fi
  for _ in 1 2; do
    fetch "$prefix/subvol/$subvolume/$place" "$work/$number.got" "$offset-$((offset + bytes - 1))" || refuse "$prefix/subvol/$subvolume/$place"
    if is_whole "$work/$number.got" "$number"; then
      mv -f -- "$work/$number.got" "$work/$number"
      return 0
    fi
  done
  rm -f -- "$work/$number.got"
  die 4 "$prefix/subvol/$subvolume/$place is damaged: bytes $offset to $((offset + bytes - 1)) are not those of the manifest"
}

# is_whole FILE NUMBER: whether a file has the parts of a piece.
is_whole() {
  local part offset=0 bytes sha size
  IFS=$'\t' read -r _ _ size _ <<< "${pieces[$2]}"
  [[ $(stat -c %s -- "$1") == "$size" ]] || return 1
  for ((part = first_part[$2]; part < first_part[$2 + 1]; part++)); do
    read -r bytes sha <<< "${part_lines[part]}"
    [[ $(cut_out "$1" "$offset" "$bytes" | sha256sum) == "$sha "* ]] || return 1
    offset=$((offset + bytes))
  done
}

# cut_out FILE OFFSET BYTES
cut_out() { dd if="$1" bs=1M iflag=skip_bytes,count_bytes,fullblock skip="$2" count="$3" status=none; }

# Fetches all pieces of a backup, several at once.
fetch_all() {
  local number job running=() failed=0 total=${#pieces[@]}
  say "fetching $key: $((stored_bytes >> 20)) MiB in $total pieces"
  for number in "${!pieces[@]}"; do
    if ((${#running[@]} == fetches_at_once)); then
      wait "${running[0]}" || failed=$?
      running=("${running[@]:1}")
    fi
    ((failed == 0)) || break
    ((number == 0 || number * 10 / total == (number - 1) * 10 / total)) || say "$((number * 100 / total)) %"
    # Without the lock: a download may outlive this run.
    fetch_piece "$number" 9>&- &
    running+=("$!")
  done
  for job in "${running[@]}"; do wait "$job" || failed=$?; done
  ((failed == 0)) || exit "$failed"
}

# The stream of a backup. What goes out has been verified: by its parts, or where there are none all of a chunk at once.
stream() {
  local number sha last ready waiting=()
  for number in "${!pieces[@]}"; do
    IFS=$'\t' read -r _ _ _ _ _ sha last <<< "${pieces[number]}"
    [[ $spools == yes ]] || fetch_piece "$number"
    waiting+=("$number")
    if [[ $sha != - ]]; then
      ((last == 1)) || continue
      check_chunk "$sha" "${waiting[@]}"
    fi
    for ready in "${waiting[@]}"; do
      put_out "$ready"
      [[ $spools == yes ]] || rm -f -- "$work/$ready"
    done
    waiting=()
  done
}

# check_chunk SHA256 NUMBERS…: a chunk without parts. It is fetched once more where it is wrong.
check_chunk() {
  local sha=$1 number
  shift
  [[ $(cat_pieces "$@" | sha256sum) != "$sha "* ]] || return 0
  for number; do
    rm -f -- "$work/$number"
    fetch_piece "$number"
  done
  [[ $(cat_pieces "$@" | sha256sum) == "$sha "* ]] && return 0
  for number; do rm -f -- "$work/$number"; done
  die 4 "$prefix/subvol/$subvolume/${pieces[number]%%$'\t'*} is damaged: its SHA-256 is not that of the manifest"
}

cat_pieces() {
  local number
  for number; do cat -- "$work/$number"; done
}

# put_out NUMBER: the plain bytes of a piece.
put_out() {
  local frame offset=0 bytes plain
  if ((first_frame[$1] == first_frame[$1 + 1])); then
    cat -- "$work/$1" || exit 1
    return
  fi
  for ((frame = first_frame[$1]; frame < first_frame[$1 + 1]; frame++)); do
    read -r bytes plain <<< "${frame_lines[frame]}"
    cut_out "$work/$1" "$offset" "$bytes" | decode "$plain" > "$work/frame" 2> "$scratch/why" || die 4 "a frame of ${pieces[$1]%%$'\t'*} cannot be decoded: $(head -n 1 -- "$scratch/why")"
    [[ $(stat -c %s -- "$work/frame") == "$plain" ]] || die 4 "a frame of ${pieces[$1]%%$'\t'*} has another size than the manifest says"
    [[ $encrypt == none || $(sha256sum < "$work/frame") == "${plain_shas[frame]} "* ]] ||
      die 4 "a frame of ${pieces[$1]%%$'\t'*} was exchanged: its SHA-256 is not the sealed one"
    cat -- "$work/frame" || exit 1
    offset=$((offset + bytes))
  done
  rm -f -- "$work/frame"
}

# decode BYTES: a frame, and no more than it should be.
decode() {
  case $compress-$encrypt in
    none-age) age -d -i "$identity" ;;
    zstd-none) zstd -dcq ;;
    zstd-age) age -d -i "$identity" | zstd -dcq ;;
  esac | head -c $(($1 + 1))
}

# ---- the command line

# stop CODE: ends at a signal, with the downloads in the background.
stop() {
  local job
  for job in $(jobs -p); do kill "$job" 2> /dev/null || :; done
  exit "$1"
}

words=() identity='' signers='' tier=Standard days=7 spool=yes
while (($# > 0)); do
  case $1 in
    -h | --help) usage && exit 0 ;;
    --no-spool) spool=no ;;
    --identity | --signers | --tier | --days)
      (($# > 1)) || die 2 "$1 wants a value"
      declare "${1#--}=$2"
      shift
      ;;
    --*) die 2 "$1 is no option: recover.sh --help lists them" ;;
    *) words+=("$1") ;;
  esac
  shift
done
[[ $tier =~ ^(Standard|Bulk|Expedited)$ ]] || die 2 "--tier is Standard, Bulk or Expedited"
[[ $days =~ ^[1-9][0-9]{0,3}$ ]] || die 2 "--days is a number of days"
for given in "$identity" "$signers"; do [[ -z $given || -r $given ]] || die 2 "$given cannot be read"; done
case ${words[0]-} in
  list) most=2 ;;
  thaw) most=2 ;;
  restore) most=3 ;;
  '') usage && exit 2 ;;
  *) die 2 "${words[0]} is neither list, thaw nor restore" ;;
esac
((${#words[@]} <= most)) || die 2 "${words[most]} is one word too many"
[[ ${words[0]} == list || -n ${words[1]-} ]] || die 2 "say which: a SUBVOLUME or a MANIFEST of recover.sh list"

need aws jq mktemp sort cut tail head numfmt
[[ -z $signers ]] || need ssh-keygen
scratch=$(mktemp -d)
trap 'rm -rf -- "$scratch"' EXIT
trap 'stop 130' INT
trap 'stop 143' TERM
server=()
if [[ -n $endpoint ]]; then
  server=(--endpoint-url "$endpoint")
  export AWS_REQUEST_CHECKSUM_CALCULATION=when_required AWS_RESPONSE_CHECKSUM_VALIDATION=when_required
fi
if [[ -n $addressing ]]; then
  # Only a file of settings can say it: a copy of the user's.
  [[ ! -r ${AWS_CONFIG_FILE:-$HOME/.aws/config} ]] || cp -- "${AWS_CONFIG_FILE:-$HOME/.aws/config}" "$scratch/config"
  export AWS_CONFIG_FILE=$scratch/config
  aws configure set s3.addressing_style "$addressing"
fi
verb=${words[0]}
"${words[@]}"
