/** Recipients of age: for whom is encrypted. Public keys stand in ENCRYPT_TO itself, or in a file of which it says the path. */
import { z } from 'zod';

/** One item of ENCRYPT_TO. */
export type RecipientSource = { readonly key: string } | { readonly file: string };

/** Public keys of age and of its plugins, and the types of SSH keys that age takes (age(1)), without their comments. */
const agePattern = /^age1[a-z0-9-]+$/;
const sshPattern = /^(ssh-(?:ed25519|rsa) +[A-Za-z0-9+/]+={0,3})(?: .*)?$/;

/** A public key in its plainest form; undefined for what is none that age could take. */
function publicKeyOf(text: string): string | undefined {
  if (agePattern.test(text)) return text;
  return sshPattern.exec(text)?.[1]?.replace(/ +/, ' ');
}

/** Why a text is no public key. It is never repeated: it may be a secret one. */
function whyNoKey(text: string, otherwise = ''): string {
  if (/AGE-SECRET-KEY-|PRIVATE KEY/i.test(text)) {
    return 'is a secret key; recipients are public ones (age-keygen -y prints them), and the secret stays off this host';
  }
  const [type] = /^(?:ecdsa-|sk-)[a-z0-9@.-]+/.exec(text) ?? [];
  if (type) return `is an SSH key of the type ${type}, to which age does not encrypt`;
  return `is not a public key: age1…, ssh-ed25519 … or ssh-rsa …${otherwise}`;
}

/** Comma-separated public keys and paths of files with such keys; empty for no encryption. */
export function recipients() {
  return z.string().transform((text, context) => {
    const found: RecipientSource[] = [];
    for (const [index, item] of text
      .split(',')
      .map((word) => word.trim())
      .entries()) {
      const key = publicKeyOf(item);
      if (key !== undefined) found.push({ key });
      else if (item.startsWith('/')) found.push({ file: item });
      else if (item !== '' || text.trim() !== '') {
        context.addIssue(
          `item ${index + 1} ${item === '' ? 'is empty' : whyNoKey(item, '; nor the absolute path of a file of them')}`,
        );
      }
    }
    return found;
  });
}

/**
 * Reads the text of a recipients file: a public key a line, blank lines and `#` comments.
 * age passes over SSH keys of other types with a warning; whoever relies on such a key would learn of it when it is too late.
 */
export function readRecipientLines(
  text: string,
): { readonly keys: readonly string[]; readonly problem?: undefined } | { readonly problem: string } {
  const keys: string[] = [];
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const key = publicKeyOf(line);
    if (key === undefined) return { problem: `line ${index + 1} ${whyNoKey(line)}` };
    keys.push(key);
  }
  return keys.length > 0 ? { keys } : { problem: 'there is no recipient in it' };
}
