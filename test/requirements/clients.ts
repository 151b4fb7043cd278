/** What the contract asks for the sake of the official clients: helpers, polling, retries. */
import type { Group } from './requirement.ts';

export const CLIENTS: readonly Group[] = [
  {
    key: 'HELP',
    about: 'helpers and polling',
    requirements: {
      'A-HELP-01': {
        says: 'The SDKs of four major versions create a run and poll it to its end.',
        evidence: 'SDK source',
      },
      'A-HELP-02': { says: 'The SDKs submit outputs and poll on.', evidence: 'SDK source' },
      'A-HELP-03': {
        says: 'The SDKs stream a run, and go on streaming from a submission.',
        evidence: 'SDK source',
      },
      'A-HELP-04': {
        says: 'The SDKs create a thread with its run, and poll or stream that.',
        evidence: 'SDK source',
      },
      'A-HELP-05': {
        says: 'Two major versions of the Python SDK poll, stream and submit.',
        evidence: 'SDK source',
      },
      'A-HELP-06': {
        says: 'Runs say in whole milliseconds when to poll again, and so do streams and cancels.',
        evidence: 'probe',
      },
      'A-HELP-07': {
        says: 'A run is created from what the .NET client always sends: an empty list of messages, and `include[]`.',
        evidence: 'recorded',
      },
      'A-HELP-08': { says: 'Who cancels and polls comes to see `cancelled`.', evidence: 'SDK source' },
      'A-HELP-09': { says: 'The SDKs page through every list, both ways.', evidence: 'SDK source' },
    },
  },
  {
    key: 'RETRY',
    about: 'retries',
    requirements: {
      'A-RETRY-01': {
        says: 'No refusal for what state a run is in is a 409, which SDKs would repeat.',
        evidence: 'SDK source',
      },
      'A-RETRY-02': { says: 'A 500 tells SDKs not to repeat the request.', evidence: 'SDK source' },
      'A-RETRY-03': { says: 'A 503 says when to come back.', evidence: 'SDK source' },
      'A-RETRY-04': {
        says: 'Where too many runs wait, further ones are refused with 429, `rate_limit_exceeded` and the time to come back.',
        evidence: 'SDK source',
      },
      'A-RETRY-05': {
        says: 'That a model is busy is never the 429 of a request about runs.',
        evidence: 'decision',
      },
      'A-RETRY-06': {
        says: 'Under one `Idempotency-Key` a request is done once and answered alike.',
        evidence: 'SDK source',
      },
      'A-RETRY-07': {
        says: 'An `Idempotency-Key` that stands for one request is refused with 422 for another.',
        evidence: 'decision',
      },
      'A-RETRY-08': {
        says: 'A message that an SDK adds again after a lost answer is added once.',
        evidence: 'SDK source',
      },
      'A-RETRY-09': {
        says: 'A run that an SDK asks for again after a lost answer, or a 503, is the one it has begun.',
        evidence: 'SDK source',
      },
      'A-RETRY-10': { says: 'What an SDK creates again is never somebody else’s.', evidence: 'decision' },
    },
  },
];
