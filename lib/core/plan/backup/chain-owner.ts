/** Whether a chain in the bucket is this host's to continue. Two machines may have one name, and one machine several in turn. */

/** A host as manifests name it; undefined for what is not known. */
export interface HostIdentity {
  readonly hostName: string | undefined;
  readonly hostId: string | undefined;
  readonly filesystemUuid: string | undefined;
}

/** What is known here of the last backup under a prefix. */
export interface OwnershipEvidence {
  readonly last: HostIdentity & { readonly manifestKey: string };
  readonly here: HostIdentity;
  /** Its snapshot is on this host, by UUID or as a received copy. */
  readonly hasSnapshot: boolean;
  /** The backup that RUN_DIR remembers as the last one published to this bucket; undefined when it remembers none. */
  readonly published: string | undefined;
}

/**
 * Why a chain is another host's, as a clause; undefined when it is this one's. Its snapshot proves it, and so does what RUN_DIR
 * remembers. Without both the identities decide: clones of one machine may share even those.
 */
export function strangerTo({ last, here, hasSnapshot, published }: OwnershipEvidence): string | undefined {
  if (hasSnapshot || published === last.manifestKey) return undefined;
  const theirs = last.hostName ?? 'an unknown host';
  const ours = here.hostName ?? 'this host';
  if (differ(last.hostId, here.hostId)) {
    return theirs === ours
      ? `is of another machine that is called ${theirs} too`
      : `is of host ${theirs}, and this one is ${ours}`;
  }
  // Clones may share the machine-id: a host that was only renamed has its snapshot, or remembers what it published.
  if (differ(last.hostName, here.hostName)) return `is of host ${theirs}, and this one is ${ours}`;
  if (differ(last.filesystemUuid, here.filesystemUuid)) {
    return `of host ${theirs} is of filesystem ${last.filesystemUuid}, and this one, ${ours}, backs up filesystem ${here.filesystemUuid}`;
  }
  if (published !== undefined) {
    return `of host ${theirs} was not published by this one, ${ours}, which published ${published} last: a clone of this machine may have done so`;
  }
  return undefined;
}

function differ(one: string | undefined, other: string | undefined): boolean {
  return one !== undefined && other !== undefined && one !== other;
}

/** Host names that an installer, a live system or an early boot gives to many machines: no prefix of one host. */
const commonNames =
  /^(\(none\)|none|unknown|host|hostname|linux|server|localhost(-live)?[46]?|localhost\d*|fedora|debian|ubuntu|raspberrypi|arch(linux|iso)?|nixos|opensuse|rocky|almalinux|centos|alpine|manjaro|endeavouros|kali|sysresccd|rescue|live|dietpi|openmediavault|truenas|proxmox|pve)$/i;

/** Whether a host name says nothing of which host it is; a domain behind it does not change that for `localhost`. */
export function isCommonHostName(hostName: string): boolean {
  const [name = '', ...domain] = hostName.split('.');
  return commonNames.test(domain.length > 0 && !/^localhost/i.test(name) ? hostName : name);
}
