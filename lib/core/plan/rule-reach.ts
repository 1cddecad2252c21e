/** Which of our objects a lifecycle rule is about, by the prefix of its keys alone. Where that cannot be known, it is about them. */
import { recoverScriptKey, recoveryTextKey, subvolumesRoot } from '../format/names.ts';

/** What keys with a rule's prefix can be. */
export interface RuleReach {
  /** Anything below `subvol/`: what backups consist of. */
  readonly backups: boolean;
  readonly chunks: boolean;
  /** Manifests, their signatures, and pointers. */
  readonly manifests: boolean;
  /** RESTORE.txt and recover.sh. */
  readonly recovery: boolean;
  /** The records of drills. */
  readonly drills: boolean;
}

/** The reach of a rule. @param prefix S3_PREFIX; empty for the whole bucket, where any key may be another host's */
export function reachOf(rulePrefix: string, prefix: string): RuleReach {
  const isAll = prefix === '';
  const root = subvolumesRoot(prefix);
  const reaches = (begin: string) => isAll || mayBegin(rulePrefix, begin);
  const below = rulePrefix.startsWith(root) ? rulePrefix.slice(root.length) : '';
  const inside = (may: (path: string) => boolean) => isAll || (mayBegin(rulePrefix, root) && may(below));
  return {
    backups: reaches(root),
    chunks: inside((path) => mayBeFile(path, 'chunk-')),
    manifests: inside((path) => mayBeFile(path, 'manifest-') || mayBePointer(path)),
    recovery: [recoveryTextKey(prefix), recoverScriptKey(prefix)].some(
      (key) => isAll || key.startsWith(rulePrefix),
    ),
    drills: reaches(`${prefix}/drill/`),
  };
}

/** Whether keys with a prefix can begin with this as well: one of the two continues the other. */
function mayBegin(rulePrefix: string, begin: string): boolean {
  return begin.startsWith(rulePrefix) || rulePrefix.startsWith(begin);
}

/** @param path what a rule's prefix has behind `subvol/`: the name of a subvolume, a folder and a file, or the beginning of them */
function mayBeFile(path: string, begin: string): boolean {
  const [, folder = '', file, ...rest] = path.split('/');
  if (rest.length > 0) return false;
  const isFolder = (name: string) => (file === undefined ? name.startsWith(folder) : name === folder);
  return ['full', 'incremental'].some(isFolder) && mayBegin(file ?? '', begin);
}

function mayBePointer(path: string): boolean {
  const [, file = '', ...rest] = path.split('/');
  return rest.length === 0 && 'current.json'.startsWith(file);
}
