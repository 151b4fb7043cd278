/**
 * `/usage`: what the caller's project has used, by UTC day. Not part of OpenAI's API, whose usage endpoint covers whole
 * organizations.
 */
import { z } from 'zod';
import { ApiError } from '../../errors.ts';
import { fromMicros } from '../../runs/cost.ts';
import { json, type Endpoint } from '../http/endpoint.ts';
import type { Services } from '../http/services.ts';

/** Each day costs one read of Redis. */
const MAX_DAYS = 100;
const DAY_MS = 24 * 60 * 60 * 1000;

const usageQuery = z.object({ from: z.iso.date().optional(), to: z.iso.date().optional() });

export function usageEndpoints({ usage, nowMs, money }: Services): readonly Endpoint[] {
  return [
    {
      method: 'GET',
      path: '/usage',
      handle: async (call) => {
        const asked = call.query(usageQuery);
        const to = asked.to ?? new Date(nowMs()).toISOString().slice(0, 10);
        const from = asked.from ?? to;
        checkSpan(from, to);
        const days = await usage.days(call.project, from, to);
        const data = days.map(({ date, costMicros, ...used }) => ({
          object: 'usage.day',
          date,
          ...used,
          ...(money.isKnown && { cost: fromMicros(costMicros), currency: money.currency }),
        }));
        return json({ object: 'list', data, has_more: false });
      },
    },
  ];
}

/** @throws {ApiError} 400 for days in the wrong order, or too many days. */
function checkSpan(from: string, to: string): void {
  const days = (Date.parse(to) - Date.parse(from)) / DAY_MS + 1;
  if (days >= 1 && days <= MAX_DAYS) return;
  const text =
    days < 1
      ? `Invalid 'from': ${from} is after 'to', ${to}.`
      : `Invalid 'from': from ${from} to ${to} are ${days} days, and at most ${MAX_DAYS} are told at once.`;
  throw new ApiError(400, text, { param: 'from', code: 'invalid_value' });
}
