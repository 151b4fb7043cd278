/** What runs cost. */
import { tag } from '../say.ts';

/** An amount in the currency of the server's configuration, with two digits that count. */
export function money(amount: number): string {
  return amount.toLocaleString(tag(), {
    minimumFractionDigits: 2,
    maximumSignificantDigits: amount < 1 ? 2 : 6,
  });
}
