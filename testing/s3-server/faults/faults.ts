/** Which fault a request meets: the rules, held against one request after the other. */

import type { RequestRecord, S3Request } from '../http/request.ts';
import { type FaultRule, readFaultRules } from './fault-rules.ts';
import { matchesKey } from './key-pattern.ts';

/** What the rules look at. */
export interface FaultSubject {
  readonly method: string;
  readonly operation: string;
  readonly key: string | undefined;
  /** Whether it is a write under a condition. */
  readonly conditional: boolean;
}

/** What the rules look at, of a request. */
export function faultSubject(
  { headers }: S3Request,
  { method, operation, key }: RequestRecord,
): FaultSubject {
  const isWrite = method !== 'GET' && method !== 'HEAD';
  return {
    method,
    operation,
    key,
    conditional: isWrite && ('if-match' in headers || 'if-none-match' in headers),
  };
}

/** A rule, and how it has fared. */
export interface FaultStatus {
  readonly rule: FaultRule;
  /** Requests that the rule is about, those before and between the faults included. */
  readonly matched: number;
  /** Requests that met the fault. */
  readonly fired: number;
}

/** Whether the answer to a method has a body to spoil. */
function isAnsweredWithBody(method: string): boolean {
  return method === 'GET' || method === 'POST';
}

/** Whether the fault could be played to the request at all, so that none is used up on one that would not see it. */
function isPossible(rule: FaultRule, subject: FaultSubject): boolean {
  switch (rule.fault) {
    case 'error':
      return (
        (rule.code !== 'PreconditionFailed' && rule.code !== 'ConditionalRequestConflict') ||
        subject.conditional
      );
    case 'stall':
      return rule.bytes === undefined || isAnsweredWithBody(subject.method);
    case 'truncate':
    case 'corrupt':
      return isAnsweredWithBody(subject.method);
    default:
      return true;
  }
}

/** Whether a rule is about a request. */
export function matches(rule: FaultRule, subject: FaultSubject): boolean {
  const operations = rule.operation === undefined ? undefined : [rule.operation].flat();
  return (
    (operations === undefined || operations.some((operation) => operation === subject.operation)) &&
    (rule.key === undefined || (subject.key !== undefined && matchesKey(rule.key, subject.key))) &&
    isPossible(rule, subject)
  );
}

/** Whether the so-manieth matching request, counted from 1, meets the fault. */
export function isDue(rule: FaultRule, matched: number): boolean {
  const turn = matched - (rule.skip ?? 0);
  if (turn < 1) {
    return false;
  }
  return rule.next === undefined ? turn % (rule.every ?? 1) === 0 : turn <= rule.next;
}

/** The faults of a server. */
export class Faults {
  #entries: { readonly rule: FaultRule; matched: number; fired: number }[] = [];

  /** Replaces the rules; counting begins again. @throws InvalidSetting when one is against the schema */
  set(rules: readonly FaultRule[]): void {
    this.#entries = readFaultRules(rules).map((rule) => ({ rule, matched: 0, fired: 0 }));
  }

  /** Removes the rules; a fault that is being played goes on. */
  clear(): void {
    this.#entries = [];
  }

  /** Every rule with its counters, in the order they were given. */
  list(): readonly FaultStatus[] {
    return this.#entries.map((entry) => ({ ...entry }));
  }

  /** The fault for a request. Rules are asked in order; those after the one that fires do not see the request. */
  take(subject: FaultSubject): FaultRule | undefined {
    for (const entry of this.#entries) {
      if (matches(entry.rule, subject)) {
        entry.matched += 1;
        if (isDue(entry.rule, entry.matched)) {
          entry.fired += 1;
          return entry.rule;
        }
      }
    }
    return undefined;
  }
}
