/** What runs cost. */
import { tag } from '../say.ts';

/** An amount, with two digits that count. @param currency a code of ISO 4217, or any word */
export function money(amount: number, currency: string): string {
  const digits = amount < 1 ? { maximumSignificantDigits: 2 } : { maximumFractionDigits: 2 };
  if (!/^[A-Z]{3}$/.test(currency)) return `${amount.toLocaleString(tag(), digits)} ${currency}`;
  return amount.toLocaleString(tag(), { style: 'currency', currency, ...digits });
}
