/** What the contract asks of every request: transport, ids, lists, errors, models, and what is refused for now. */
import type { Group } from './requirement.ts';

export const REQUESTS: readonly Group[] = [
  {
    key: 'WIRE',
    about: 'transport: addresses, keys, headers, bodies, queries',
    requirements: {
      'A-WIRE-01': {
        says: 'The API answers under `/v1`, and the older base path serves the same objects.',
        evidence: 'specification',
      },
      'A-WIRE-02': {
        says: 'The key is read from `Authorization: Bearer`, and may hold blanks.',
        evidence: 'SDK source',
      },
      'A-WIRE-03': {
        says: 'A wrong key is refused with 401 and the code `invalid_api_key`, and is not repeated whole.',
        evidence: 'recorded',
      },
      'A-WIRE-04': {
        says: 'Without a key a request is refused with 401 before anything else of it is looked at.',
        evidence: 'decision',
      },
      'A-WIRE-05': {
        says: 'The header `OpenAI-Beta` may be missing, and may name version 2.',
        evidence: 'decision',
      },
      'A-WIRE-06': {
        says: '`OpenAI-Beta: assistants=v1` is refused with 400 and the code `invalid_beta`.',
        evidence: 'public issue',
      },
      'A-WIRE-07': { says: 'No body, or an empty one, counts as an empty object.', evidence: 'recorded' },
      'A-WIRE-08': { says: 'A cancel or a deletion may declare JSON and bring no body.', evidence: 'probe' },
      'A-WIRE-09': { says: 'The content type that a body declares does not matter.', evidence: 'decision' },
      'A-WIRE-10': {
        says: 'Null counts as not given for every field that may be left out.',
        evidence: 'specification',
      },
      'A-WIRE-11': {
        says: 'The query `include[]` is taken with plain and with encoded brackets, repeated, and without brackets.',
        evidence: 'probe',
      },
      'A-WIRE-12': {
        says: 'Every successful answer that is no stream is JSON by its content type.',
        evidence: 'recorded',
      },
      'A-WIRE-13': {
        says: 'Every answer carries an `x-request-id` of its own: successes, refusals and streams.',
        evidence: 'SDK source',
      },
      'A-WIRE-14': { says: 'Every answer carries `openai-version: 2020-10-01`.', evidence: 'recorded' },
      'A-WIRE-15': { says: 'Every success is a 200, creation included.', evidence: 'specification' },
      'A-WIRE-16': {
        says: 'Changes are made by POST only: PUT and PATCH are refused with 405, with the allowed methods named.',
        evidence: 'specification',
      },
      'A-WIRE-17': {
        says: 'An unknown address is a 404 that repeats method and path.',
        evidence: 'decision',
      },
      'A-WIRE-18': {
        says: 'Threads are listed in pages like everything else, though the hosted API never did.',
        evidence: 'decision',
      },
      'A-WIRE-19': {
        says: '`POST /threads/runs` creates a thread with its run; it does not modify a thread named `runs`.',
        evidence: 'specification',
      },
      'A-WIRE-20': {
        says: 'Browsers may send any request header, where pages may call at all.',
        evidence: 'SDK source',
      },
      'A-WIRE-21': {
        says: 'Browsers may read the headers that SDKs read: request id, time to poll, times to retry.',
        evidence: 'SDK source',
      },
      'A-WIRE-22': {
        says: 'A body that is no JSON is refused with 400 and the place where it breaks.',
        evidence: 'decision',
      },
      'A-WIRE-23': {
        says: 'A body beyond the limit of the server is refused with 413.',
        evidence: 'decision',
      },
    },
  },
  {
    key: 'ID',
    about: 'ids and times',
    requirements: {
      'A-ID-01': {
        says: 'The id of an assistant is `asst_` and 24 letters or digits.',
        evidence: 'recorded',
      },
      'A-ID-02': { says: 'The id of a thread is `thread_` and 24 letters or digits.', evidence: 'recorded' },
      'A-ID-03': { says: 'The id of a message is `msg_` and 24 letters or digits.', evidence: 'recorded' },
      'A-ID-04': { says: 'The id of a run is `run_` and 24 letters or digits.', evidence: 'recorded' },
      'A-ID-05': { says: 'The id of a step is `step_` and 24 letters or digits.', evidence: 'recorded' },
      'A-ID-06': {
        says: 'A call keeps the id that the model gave it, and gets one where the model gave none or gave it twice.',
        evidence: 'decision',
      },
      'A-ID-07': { says: 'Every time is a whole number of seconds.', evidence: 'recorded' },
      'A-ID-08': {
        says: 'An id that cannot be one, of whatever form, is answered as the id of nothing.',
        evidence: 'public issue',
      },
      'A-ID-09': {
        says: 'An id of nothing is a 404 that names the kind and repeats the id.',
        evidence: 'public issue',
      },
      'A-ID-10': {
        says: 'An object of another thread or run is as unknown as one that is not there.',
        evidence: 'decision',
      },
      'A-ID-11': {
        says: 'An object of another project is as unknown as one that is not there.',
        evidence: 'decision',
      },
      'A-ID-12': { says: 'Ids in paths may be percent-encoded.', evidence: 'SDK source' },
      'A-ID-13': { says: 'An empty id in a path is an unknown address.', evidence: 'SDK source' },
    },
  },
  {
    key: 'LIST',
    about: 'lists and pages',
    requirements: {
      'A-LIST-01': {
        says: 'A page has `object`, `data`, `first_id`, `last_id` and `has_more`.',
        evidence: 'recorded',
      },
      'A-LIST-02': {
        says: 'An empty page has null for both ids, and `has_more` false.',
        evidence: 'recorded',
      },
      'A-LIST-03': {
        says: 'A list begins with the newest, where nobody says otherwise.',
        evidence: 'specification',
      },
      'A-LIST-04': {
        says: 'Items of one second are in the order of their creation, or exactly backwards.',
        evidence: 'recorded',
      },
      'A-LIST-05': {
        says: '`after` gives what comes behind that item in the order asked for.',
        evidence: 'specification',
      },
      'A-LIST-06': {
        says: '`before` gives what comes in front of that item, and of that the page next to it.',
        evidence: 'decision',
      },
      'A-LIST-07': {
        says: '`limit` may be 1 to 100; outside of that it is refused with the bound.',
        evidence: 'specification',
      },
      'A-LIST-08': { says: 'A page has 20 items where nobody says how many.', evidence: 'specification' },
      'A-LIST-09': {
        says: '`has_more` says whether there is one more item in the direction asked for.',
        evidence: 'SDK source',
      },
      'A-LIST-10': {
        says: 'Behind the last item there is an empty page, not a refusal.',
        evidence: 'SDK source',
      },
      'A-LIST-11': {
        says: 'An item that was deleted while one pages is as good a cursor as before.',
        evidence: 'decision',
      },
      'A-LIST-12': {
        says: 'What never was an item of the list is refused as a cursor, with 400 and the name of the parameter.',
        evidence: 'decision',
      },
      'A-LIST-13': {
        says: '`order` is `asc` or `desc`; anything else is refused with both.',
        evidence: 'specification',
      },
      'A-LIST-14': {
        says: '`run_id` gives only the messages that this run has written.',
        evidence: 'specification',
      },
      'A-LIST-15': {
        says: 'A page may end before its limit for its size, and then says that there is more.',
        evidence: 'decision',
      },
      'A-LIST-16': { says: 'Query parameters that nobody knows are ignored.', evidence: 'decision' },
    },
  },
  {
    key: 'ERR',
    about: 'errors',
    requirements: {
      'A-ERR-01': {
        says: 'An error has exactly the keys `message`, `type`, `param` and `code`, in an object under `error`.',
        evidence: 'SDK source',
      },
      'A-ERR-02': { says: 'A refusal is of the type `invalid_request_error`.', evidence: 'SDK source' },
      'A-ERR-03': { says: 'A fault of the server is of the type `server_error`.', evidence: 'specification' },
      'A-ERR-04': {
        says: '`param` is the path of the wrong value, with dots and brackets.',
        evidence: 'public issue',
      },
      'A-ERR-05': {
        says: 'An unknown parameter is refused with `unknown_parameter`.',
        evidence: 'public issue',
      },
      'A-ERR-06': {
        says: 'A missing parameter is refused with `missing_required_parameter`.',
        evidence: 'public issue',
      },
      'A-ERR-07': {
        says: 'A value of the wrong type is refused with `invalid_type`, and both types are named.',
        evidence: 'public issue',
      },
      'A-ERR-08': {
        says: 'A value that is none of the known ones is refused with `invalid_value`, and those are listed.',
        evidence: 'public issue',
      },
      'A-ERR-09': {
        says: 'A text, list, number or object beyond its bound is refused with the code and the sentence of that bound.',
        evidence: 'public issue',
      },
      'A-ERR-10': {
        says: 'Metadata has at most 16 pairs, keys of at most 64 characters, and texts of at most 512.',
        evidence: 'specification',
      },
      'A-ERR-11': { says: 'Metadata of anything but texts is refused.', evidence: 'specification' },
      'A-ERR-12': {
        says: 'The SDKs raise a 400, a 401 and a 404 as their own classes, with message, code and parameter.',
        evidence: 'SDK source',
      },
      'A-ERR-13': {
        says: 'Key, version, ids of the path, body: the first of these that is wrong is told.',
        evidence: 'decision',
      },
      'A-ERR-14': {
        says: 'A body that is wrong is told before the run that has the thread.',
        evidence: 'decision',
      },
      'A-ERR-15': { says: 'What is refused has changed nothing.', evidence: 'decision' },
      'A-ERR-16': { says: 'An error says nothing of the inside of the server.', evidence: 'decision' },
      'A-ERR-17': {
        says: 'A server that is told to be lenient drops unknown parameters.',
        evidence: 'decision',
      },
    },
  },
  {
    key: 'MODEL',
    about: 'models',
    requirements: {
      'A-MODEL-01': {
        says: 'The list of models has `object` and `data`, and nothing else.',
        evidence: 'recorded',
      },
      'A-MODEL-02': { says: 'A model has `id`, `object`, `created` and `owned_by`.', evidence: 'recorded' },
      'A-MODEL-03': {
        says: 'An unknown model is a 404 with the code `model_not_found`.',
        evidence: 'recorded',
      },
      'A-MODEL-04': { says: 'Models cannot be deleted.', evidence: 'decision' },
    },
  },
  {
    key: 'NOTYET',
    about: 'what is refused because it is not built, and what asks for nothing',
    requirements: {
      'A-NOTYET-08': {
        says: 'Empty lists of files, stores and attachments are taken, since they ask for nothing.',
        evidence: 'decision',
      },
    },
  },
];
