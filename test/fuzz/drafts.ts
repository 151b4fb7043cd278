/** What requests of every kind are made with. */
import type { Random } from '../chaos/random.ts';
import type { Known } from './known.ts';

/** A request before it is broken. */
export interface Draft {
  readonly method: string;
  readonly target: string;
  readonly body?: unknown;
  /** In place of a body: a form as it is sent, and its boundary. */
  readonly form?: { readonly boundary: string; readonly text: string };
}

/** Makes a request of one route. */
export type Route = (random: Random, known: Known) => Draft;

export type Routes = Readonly<Record<string, readonly [weight: number, route: Route]>>;

/** More than any text should have. */
export const LONG = 300_000;

/** Some of these fields. */
export function some(random: Random, fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(() => random.chance(0.4)));
}

export const list = (random: Random, known: Known): string => {
  if (random.chance(0.4)) return '';
  const query = [
    `limit=${random.between(1, 100)}`,
    `order=${random.pick(['asc', 'desc'])}`,
    `${random.pick(['after', 'before'])}=${known.anyId(random)}`,
    'include[]=step_details',
  ].filter(() => random.chance(0.5));
  return `?${query.join('&')}`;
};

export const get =
  (target: (random: Random, known: Known) => string): Route =>
  (random, known) => ({ method: 'GET', target: target(random, known) });
export const remove =
  (target: (random: Random, known: Known) => string): Route =>
  (random, known) => ({ method: 'DELETE', target: target(random, known) });
export const post =
  (
    target: (random: Random, known: Known) => string,
    body: (random: Random, known: Known) => unknown,
  ): Route =>
  (random, known) => ({ method: 'POST', target: target(random, known), body: body(random, known) });
