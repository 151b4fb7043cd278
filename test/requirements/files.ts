/** What the contract asks of files and uploads, of vector stores, and of the tools that use them. */
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
  {
    key: 'STORE',
    about: 'vector stores',
    requirements: {
      'A-STORE-01': {
        says: 'A vector store can be created, listed, retrieved, modified and deleted.',
        evidence: 'specification',
      },
      'A-STORE-02': {
        says: 'Files can be added to a vector store, one by one and in batches, listed there and taken out.',
        evidence: 'specification',
      },
      'A-STORE-03': {
        says: 'A vector store can be searched.',
        evidence: 'specification',
      },
      'A-STORE-04': {
        says: 'Files and batches of a vector store can be polled, and say when to poll again.',
        evidence: 'SDK source',
      },
      'A-STORE-05': {
        says: 'A batch can be cancelled while its files are read.',
        evidence: 'specification',
      },
      'A-STORE-06': {
        says: 'A search finds only files whose attributes fit its filters.',
        evidence: 'specification',
      },
      'A-STORE-07': {
        says: 'A file that cannot be read stays in its store as failed, and says why.',
        evidence: 'specification',
      },
      'A-STORE-08': {
        says: 'A file that is deleted is found in no store any more.',
        evidence: 'decision',
      },
      'A-STORE-09': {
        says: 'An unknown store is a 404, and an unknown file in a body is a 400 that names the parameter.',
        evidence: 'decision',
      },
    },
  },
  {
    key: 'HOSTED',
    about: 'the tools `file_search` and `code_interpreter`, and the resources that they use',
    requirements: {
      'A-HOSTED-01': {
        says: 'The tools `file_search` and `code_interpreter` are taken by assistants and runs, and echoed.',
        evidence: 'recorded',
      },
      'A-HOSTED-02': {
        says: 'A search that says nothing of its ranking is shown with the ranking that it has.',
        evidence: 'recorded',
      },
      'A-HOSTED-03': {
        says: 'Assistants and threads can name files and vector stores, or create a store along with themselves.',
        evidence: 'specification',
      },
      'A-HOSTED-04': {
        says: 'Resources that name unknown files or stores are refused with 400 and the name of the parameter.',
        evidence: 'decision',
      },
      'A-HOSTED-05': {
        says: 'A message can have attachments, which become resources of its thread.',
        evidence: 'specification',
      },
      'A-HOSTED-06': {
        says: 'An attachment of an unknown file is refused with 400 and the param `attachments`.',
        evidence: 'decision',
      },
      'A-HOSTED-07': {
        says: 'A run can be told that it must search files.',
        evidence: 'specification',
      },
      'A-HOSTED-08': {
        says: 'A run can be told that it must use the code interpreter.',
        evidence: 'specification',
      },
      'A-HOSTED-09': {
        says: 'A step of file search shows its ranking and results, with their content where `include[]` asks for it.',
        evidence: 'recorded',
      },
      'A-HOSTED-10': {
        says: 'A step of file search is streamed as one delta, then completed with its results.',
        evidence: 'recorded',
      },
      'A-HOSTED-11': {
        says: 'An answer that searched files cites them in its annotations.',
        evidence: 'recorded',
      },
      'A-HOSTED-12': {
        says: 'A step of the code interpreter shows its input and its outputs, logs and pictures.',
        evidence: 'specification',
      },
      'A-HOSTED-13': {
        says: 'Input and outputs of the code interpreter are streamed as deltas.',
        evidence: 'specification',
      },
      'A-HOSTED-14': {
        says: 'An answer shows the pictures that its code drew, and points to the files that it made.',
        evidence: 'specification',
      },
      'A-HOSTED-15': {
        says: 'A server that runs no code fails a run that wants it, and says why.',
        evidence: 'decision',
      },
      'A-HOSTED-16': {
        says: 'A chat request with a hosted tool is refused with 400, and is told that the tool belongs to assistants.',
        evidence: 'decision',
      },
    },
  },
];
