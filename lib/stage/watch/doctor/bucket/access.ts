/** Whether the bucket can be used at all: whose credentials, which server, by which way, and whose clock is right. */
import { formatDuration } from '../../../../core/units.ts';
import { checkAccess } from '../../../../edge/s3/objects.ts';
import type { Bucket } from '../../../../edge/s3/s3-client.ts';
import { isDenied, reasonOf, regionIn } from '../../../../edge/s3/s3-errors.ts';
import { proxyFor } from '../../../../edge/s3/server/proxy.ts';
import { watchClock } from '../../../../edge/s3/server/server-clock.ts';
import { broken, type Check, doubtful, type Finding, failure, fine } from '../check.ts';
import type { Patient } from '../patient.ts';

/** S3 refuses what is signed by a clock that differs by more (RequestTimeTooSkewed). */
const mostSkewSeconds = 15 * 60;
/** More than a network takes, and less than confuses anybody. */
const usualSkewSeconds = 60;

/** What was found, and whether it makes sense to look further. */
export interface Access {
  readonly checks: readonly Check[];
  readonly isUsable: () => boolean;
}

/** The checks of the way to the bucket; they are one look, of which each reports a part. */
export function accessChecks(bucket: Bucket, { now, settings }: Patient): Access {
  let isUsable = false;
  const skew = watchClock(bucket.client, now);
  const asked = (async () => {
    try {
      await checkAccess(bucket);
      isUsable = true;
    } catch (error) {
      // What these credentials may do is looked at one by one.
      isUsable = isDenied(error);
      if (!isUsable) return error;
    }
    return undefined;
  })();
  const way = bucket.client.config.forcePathStyle ? 'in the path' : 'in the host name';
  const proxy = proxyFor(addressFor(bucket), settings);
  return {
    isUsable: () => isUsable,
    checks: [
      {
        name: 'bucket',
        look: async () => {
          const error = await asked;
          if (error === undefined) {
            return [
              fine(
                `${bucket.name} at ${bucket.server}, region ${bucket.region}, named ${way}, below ${bucket.prefix}/`,
              ),
            ];
          }
          const region = regionIn(reasonOf(error));
          const found = failure(error);
          return [region === undefined ? found : { ...found, cure: `set AWS_REGION=${region}` }];
        },
      },
      {
        name: 'clock',
        look: async () => {
          await asked;
          return judgeSkew(skew());
        },
      },
      ...(proxy === undefined
        ? []
        : [
            {
              name: 'proxy',
              look: async () => {
                const host = `${proxy.hostname}${proxy.port === '' ? '' : `:${proxy.port}`}`;
                if ((await asked) === undefined) return [fine(`${bucket.server} is reached through ${host}`)];
                return [
                  doubtful(
                    `the way to ${bucket.server} leads through ${host}`,
                    'NO_PROXY names servers that are reached without it',
                  ),
                ];
              },
            },
          ]),
    ],
  };
}

/** Judges by how many seconds this host is ahead. */
export function judgeSkew(aheadSeconds: number | undefined): readonly Finding[] {
  if (aheadSeconds === undefined) return [];
  const by = `${formatDuration(Math.abs(aheadSeconds))} ${aheadSeconds < 0 ? 'behind' : 'ahead of'} the server's`;
  const cure = 'timedatectl set-ntp true';
  if (Math.abs(aheadSeconds) >= mostSkewSeconds) {
    return [
      broken(`this host's clock is ${by}, and the server refuses what differs by more than 15 minutes`, cure),
    ];
  }
  if (Math.abs(aheadSeconds) >= usualSkewSeconds) return [doubtful(`this host's clock is ${by}`, cure)];
  return [fine("this host's clock is the server's, to the minute")];
}

/** By which NO_PROXY is judged. */
function addressFor({ server, isAws, region, name, client }: Bucket): URL {
  const address = new URL(isAws ? `https://s3.${region}.amazonaws.com` : server);
  if (!client.config.forcePathStyle) address.hostname = `${name}.${address.hostname}`;
  return address;
}
