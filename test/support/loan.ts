/** What a test file is lent of the services that files share; the words of support/keeper.ts and those who ask it. */
import { z } from 'zod';

export const loanSchema = z.object({
  url: z.string(),
  redisPrefix: z.string(),
  /** Where the service asks for its model: the file has one listen there. */
  upstreamPort: z.number(),
});
export type Loan = z.infer<typeof loanSchema>;
