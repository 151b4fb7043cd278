/** What the contract asks of files and uploads. */
import type { Group } from './requirement.ts';

export const FILES: readonly Group[] = [
  {
    key: 'FILE',
    about: 'files and uploads',
    requirements: {
      'A-FILE-01': {
        says: 'A file can be uploaded, listed by purpose, retrieved and deleted.',
        evidence: 'specification',
      },
      'A-FILE-02': { says: 'The content of a file can be downloaded.', evidence: 'specification' },
      'A-FILE-03': {
        says: 'A file can be waited for until it was processed, which it is at once.',
        evidence: 'SDK source',
      },
      'A-FILE-04': {
        says: 'The parts of the form may come in any order; a wrong purpose is refused in the words of the hosted API.',
        evidence: 'recorded',
      },
      'A-FILE-05': {
        says: 'An unknown file is a 404 with `No such File object: <id>` and the param `id`.',
        evidence: 'recorded',
      },
      'A-FILE-06': {
        says: 'A file may expire, counted from its creation, after an hour to 30 days.',
        evidence: 'specification',
      },
      'A-FILE-07': {
        says: 'A file that is too large is refused with 413, and nothing of it is kept.',
        evidence: 'decision',
      },
      'A-FILE-08': {
        says: 'An upload takes parts in any order, and becomes a file of the bytes that were announced.',
        evidence: 'specification',
      },
      'A-FILE-09': {
        says: 'An upload can be cancelled, and expires after an hour.',
        evidence: 'specification',
      },
      'A-FILE-11': {
        says: 'A picture in a message can be a file, which the model is shown; one that is no picture is refused.',
        evidence: 'specification',
      },
      'A-FILE-10': {
        says: 'The content of a file is never shown in a browser, and may be read in ranges.',
        evidence: 'decision',
      },
    },
  },
];
