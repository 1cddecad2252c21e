/** What the gateway of Ceph 16 lacks of S3; each was seen to fail, and is kept honest by a run without this list. */
import type { Feature } from '../servers/features.ts';

export const cephLacks: ReadonlySet<Feature> = new Set<Feature>(['archive', 'checksums', 'trailers']);
