/** Where to: provider, address, region, storage class, credentials, bucket and prefix. */

import { isCommonHostName } from '../../core/plan/backup/chain-owner.ts';
import { endpointProblems } from '../../core/settings/endpoint.ts';
import {
  type ProviderPreset,
  type ProviderPresetName,
  providerOf,
  providerPresets,
  wantsVirtualHosts,
} from '../../core/settings/providers.ts';
import { profileNames } from '../../edge/s3/server/endpoint.ts';
import type { Answers } from './answers.ts';

/** Asks for the server, and sets what works there. @returns which provider it is */
export async function askServer(answers: Answers): Promise<ProviderPresetName> {
  const provider = await askProvider(answers);
  const preset: ProviderPreset = providerPresets[provider];
  if (provider === 'aws') await askRegion(answers, preset);
  else await askEndpoint(answers, preset);
  for (const [key, value] of Object.entries(preset.settings)) {
    if (!answers.values.has(key)) answers.keep(key, answers.given(key) ?? value);
  }
  if (provider === 'aws') {
    answers.prompter?.say(
      'Deep Archive is the cheapest to keep: a restore waits 12 hours first, and what is deleted within 180 days is charged for all of them.',
    );
    await answers.ask({
      key: 'STORAGE_CLASS_CHUNKS',
      text: 'Storage class of the data',
      preset: 'DEEP_ARCHIVE',
    });
  }
  return provider;
}

async function askProvider(answers: Answers): Promise<ProviderPresetName> {
  const { prompter } = answers;
  const endpoint = answers.given('AWS_ENDPOINT_URL_S3') ?? process.env.AWS_ENDPOINT_URL_S3;
  if (!prompter || answers.given('AWS_ENDPOINT_URL_S3') !== undefined) return providerOf(endpoint);
  const names = Object.keys(providerPresets) as ProviderPresetName[];
  const choices = names.map((value) => ({ value, label: providerPresets[value].label }));
  return prompter.choose('Where to:', choices, providerOf(endpoint));
}

async function askRegion(answers: Answers, { region }: ProviderPreset): Promise<void> {
  // A script has to say itself where its bucket is.
  const guess = process.env.AWS_REGION ?? (answers.prompter ? region?.preset : undefined);
  await answers.ask({ key: 'AWS_REGION', text: region?.text ?? 'Region', preset: guess });
}

async function askEndpoint(
  answers: Answers,
  { region, endpoint: addressOf, settings }: ProviderPreset,
): Promise<void> {
  const { prompter } = answers;
  const isGiven = answers.given('AWS_ENDPOINT_URL_S3') !== undefined;
  let preset = process.env.AWS_ENDPOINT_URL_S3;
  let regionName = settings.AWS_REGION ?? 'us-east-1';
  if (region && addressOf && prompter && !isGiven) {
    const name = await prompter.ask({
      text: region.text,
      preset: region.preset,
      check: (answer) => (/^[a-z0-9-]+$/.test(answer) ? undefined : 'is letters, digits and "-"'),
    });
    preset = addressOf(name);
    if (settings.AWS_REGION === undefined) regionName = name;
  }
  const url = await answers.ask({ key: 'AWS_ENDPOINT_URL_S3', text: 'Address of the server', preset });
  if (url === '') return;
  const [problem] = endpointProblems(url, answers.given('S3_ALLOW_HTTP') === 'true');
  if (problem !== undefined && prompter) {
    const isTaken = await prompter.confirm(`${url} ${problem}. Use it all the same?`, false);
    if (!isTaken) {
      answers.values.delete('AWS_ENDPOINT_URL_S3');
      await askEndpoint(answers, { label: '', region: undefined, settings });
      return;
    }
    answers.keep('S3_ALLOW_HTTP', 'true');
  }
  if (wantsVirtualHosts(url)) answers.keep('S3_ADDRESSING', 'virtual');
  if (regionName === 'auto') answers.keep('AWS_REGION', regionName);
  else
    await answers.ask({ key: 'AWS_REGION', text: 'Region that the server calls itself', preset: regionName });
}

/** Asks whose credentials are used, and keeps them. */
export async function askCredentials(answers: Answers): Promise<void> {
  const { prompter } = answers;
  if (answers.given('AWS_PROFILE') !== undefined) {
    await answers.ask({ key: 'AWS_PROFILE', text: 'AWS profile' });
    return;
  }
  const { AWS_ACCESS_KEY_ID: id = '', AWS_SECRET_ACCESS_KEY: secret = '', AWS_SESSION_TOKEN } = process.env;
  const hasKeys = id !== '' && secret !== '' && !AWS_SESSION_TOKEN;
  if (!prompter) {
    // A timer has no environment of anybody's.
    if (hasKeys) keepKeys(answers, id, secret);
    return;
  }
  const profiles = await profileNames();
  const choices = [
    ...profiles.map((name) => ({ value: `profile ${name}`, label: `the AWS profile ${name}` })),
    ...(hasKeys
      ? [{ value: 'environment', label: `the keys of this environment (${id.slice(0, 4)}…)` }]
      : []),
    { value: 'keys', label: 'an access key and its secret, typed now and kept in the settings file' },
    { value: 'machine', label: 'a role of this machine, which needs no keys' },
  ];
  const preset = choices[0]?.value ?? 'keys';
  const chosen = await prompter.choose('Credentials:', choices, preset);
  if (chosen.startsWith('profile ')) answers.keep('AWS_PROFILE', chosen.slice('profile '.length));
  else if (chosen === 'environment') keepKeys(answers, id, secret);
  else if (chosen === 'keys') {
    const check = (answer: string) =>
      /^\S{3,}$/.test(answer) ? undefined : 'has no blanks, and more than two characters';
    const typedId = await prompter.ask({ text: 'Access key ID', check });
    keepKeys(
      answers,
      typedId,
      await prompter.ask({ text: 'Secret access key (not shown)', isSecret: true, check }),
    );
  }
}

/** Asks for the bucket, and for what the keys of this host begin with. */
export async function askPlace(answers: Answers, hostName: string): Promise<void> {
  await answers.ask({ key: 'S3_BUCKET', text: 'Bucket; one that does not exist can be made now' });
  const preset = isCommonHostName(hostName) ? undefined : hostName;
  await answers.ask({
    key: 'S3_PREFIX',
    text: 'Prefix of this host in the bucket, which no other host has',
    preset,
  });
}

function keepKeys(answers: Answers, id: string, secret: string): void {
  answers.keep('AWS_ACCESS_KEY_ID', id);
  answers.keep('AWS_SECRET_ACCESS_KEY', secret);
}
