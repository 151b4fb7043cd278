/** What the contract asks and this service does not do yet: each with the reason, and with the requirement by which it is refused. */
import type { Group } from './requirement.ts';

export const LATER: readonly Group[] = [
  {
    key: 'LATER',
    about: 'what is not built: vector stores, file search, code interpreter',
    requirements: {
      'A-LATER-05': {
        says: 'A message can have attachments, which become resources of its thread.',
        evidence: 'specification',
        later: { because: 'There are no files in this service.', refusedBy: 'A-NOTYET-05' },
      },
      'A-LATER-06': {
        says: 'An answer that searched files cites them in its annotations.',
        evidence: 'recorded',
        later: { because: 'There is no file search in this service.', refusedBy: 'A-NOTYET-01' },
      },
      'A-LATER-07': {
        says: 'A vector store can be created, listed, retrieved, modified and deleted.',
        evidence: 'specification',
        later: { because: 'There are no vector stores in this service.', refusedBy: 'A-NOTYET-07' },
      },
      'A-LATER-08': {
        says: 'Files can be added to a vector store, one by one and in batches, listed there and taken out.',
        evidence: 'specification',
        later: { because: 'There are no vector stores in this service.', refusedBy: 'A-NOTYET-07' },
      },
      'A-LATER-09': {
        says: 'A vector store can be searched.',
        evidence: 'specification',
        later: { because: 'There are no vector stores in this service.', refusedBy: 'A-NOTYET-07' },
      },
      'A-LATER-10': {
        says: 'Files and batches of a vector store can be polled, and say when to poll again.',
        evidence: 'SDK source',
        later: { because: 'There are no vector stores in this service.', refusedBy: 'A-NOTYET-07' },
      },
      'A-LATER-11': {
        says: 'Assistants and threads can name files and vector stores, or create a store along with themselves.',
        evidence: 'specification',
        later: { because: 'There are no vector stores in this service.', refusedBy: 'A-NOTYET-03' },
      },
      'A-LATER-12': {
        says: 'A step of file search shows its ranking and results, with their content where `include[]` asks for it.',
        evidence: 'recorded',
        later: { because: 'There is no file search in this service.', refusedBy: 'A-NOTYET-01' },
      },
      'A-LATER-13': {
        says: 'A step of file search is streamed as one delta, then completed with its results.',
        evidence: 'recorded',
        later: { because: 'There is no file search in this service.', refusedBy: 'A-NOTYET-01' },
      },
      'A-LATER-14': {
        says: 'A run can be told that it must search files.',
        evidence: 'specification',
        later: { because: 'There is no file search in this service.', refusedBy: 'A-NOTYET-02' },
      },
      'A-LATER-15': {
        says: 'A step of the code interpreter shows its input and its outputs, logs and pictures.',
        evidence: 'specification',
        later: { because: 'There is no code interpreter in this service.', refusedBy: 'A-NOTYET-01' },
      },
      'A-LATER-16': {
        says: 'Input and outputs of the code interpreter are streamed as deltas.',
        evidence: 'specification',
        later: { because: 'There is no code interpreter in this service.', refusedBy: 'A-NOTYET-01' },
      },
      'A-LATER-17': {
        says: 'A run can be told that it must use the code interpreter.',
        evidence: 'specification',
        later: { because: 'There is no code interpreter in this service.', refusedBy: 'A-NOTYET-02' },
      },
    },
  },
];
