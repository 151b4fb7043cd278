/** What was used, in money. */
import { tag } from '../say.ts';

/** @param currency as the configuration names it, which need not be one that the browser knows */
export function costWords(cost: number | undefined, currency = ''): string {
  if (cost === undefined) return '–';
  const digits = { minimumFractionDigits: 2, maximumFractionDigits: cost < 1 ? 4 : 2 };
  try {
    return cost.toLocaleString(tag(), { ...digits, style: 'currency', currency });
  } catch {
    return `${cost.toLocaleString(tag(), digits)} ${currency}`.trim();
  }
}
