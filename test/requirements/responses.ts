/**
 * What is asked of this service as a Responses and Conversations API, sentence by sentence, as assistants.ts does for the
 * Assistants API.
 */
import type { Group } from './requirement.ts';

export const RESPONSES: readonly Group[] = [
  {
    key: 'CREATE',
    about: 'making a response',
    requirements: {
      'R-CREATE-01': {
        says: 'A response goes on from the previous one, and knows what was said before it.',
        evidence: 'specification',
      },
      'R-CREATE-02': {
        says: 'An earlier response may be continued more than once, each time with its own history.',
        evidence: 'specification',
      },
      'R-CREATE-03': {
        says: 'A response that is not stored cannot be retrieved or continued.',
        evidence: 'specification',
      },
      'R-CREATE-04': {
        says: 'A schema is flat in the request, and reaches the model server in the form of chats.',
        evidence: 'SDK source',
      },
      'R-CREATE-05': {
        says: 'Parameters, items and `include` values that are not known are ignored.',
        evidence: 'public issue',
      },
      'R-CREATE-06': {
        says: 'A response of the background is answered as queued at once, and polled to its end.',
        evidence: 'specification',
      },
    },
  },
  {
    key: 'OBJ',
    about: 'the objects',
    requirements: {
      'R-OBJ-01': {
        says: 'A response has every key always, with the types that strict SDKs check.',
        evidence: 'SDK source',
      },
      'R-OBJ-02': {
        says: 'A response that is retrieved is what it was when it was made.',
        evidence: 'specification',
      },
      'R-OBJ-03': {
        says: 'The input of a response is listed as items, each with an id.',
        evidence: 'specification',
      },
    },
  },
  {
    key: 'TOOL',
    about: 'tools and their calls',
    requirements: {
      'R-TOOL-01': {
        says: 'A response ends with the calls of its client as output, and their outputs come in a later one, in any order.',
        evidence: 'specification',
      },
      'R-TOOL-02': {
        says: 'A custom tool is called with text, and its output comes as that of a function does.',
        evidence: 'specification',
      },
      'R-TOOL-03': {
        says: 'Functions may be declared in a namespace, which their calls name.',
        evidence: 'probe',
      },
    },
  },
  {
    key: 'MCP',
    about: 'MCP servers that come with a request',
    requirements: {
      'R-MCP-01': {
        says: 'The tools of a server are listed as an item, and their calls made by the server, with the events of each.',
        evidence: 'specification',
      },
      'R-MCP-02': {
        says: 'Headers and authorization reach the server, and are never shown again.',
        evidence: 'specification',
      },
      'R-MCP-03': {
        says: 'A call that needs an approval ends the response with a request for it; the next one brings the decision.',
        evidence: 'specification',
      },
      'R-MCP-04': {
        says: 'Tools of this server wait for an approval where `metadata.approve` names them, for clients of the Assistants API as a required action.',
        evidence: 'decision',
      },
    },
  },
  {
    key: 'STREAM',
    about: 'streams',
    requirements: {
      'R-STREAM-01': {
        says: 'The frames of a stream are numbered from 0, in the order of the specification.',
        evidence: 'specification',
      },
      'R-STREAM-05': {
        says: 'Every event has the fields that the types of the SDKs demand.',
        evidence: 'SDK source',
      },
      'R-STREAM-06': {
        says: 'A stream can be read again from its beginning, and from behind any number, with the same frames.',
        evidence: 'SDK source',
      },
    },
  },
  {
    key: 'CONV',
    about: 'conversations',
    requirements: {
      'R-CONV-01': {
        says: 'A conversation can be created, retrieved, changed and deleted.',
        evidence: 'specification',
      },
      'R-CONV-02': {
        says: 'Items can be put into a conversation, up to 20 at a time, listed, retrieved and removed.',
        evidence: 'specification',
      },
      'R-CONV-03': {
        says: 'A conversation holds messages of every role, calls and outputs, as they came.',
        evidence: 'specification',
      },
      'R-CONV-04': {
        says: 'A conversation is a thread: its other clients hear what was said in it, in the order in which it was said.',
        evidence: 'decision',
      },
    },
  },
  {
    key: 'ERROR',
    about: 'refusals',
    requirements: {
      'R-ERROR-01': {
        says: 'An unknown previous response is a 400 with `previous_response_not_found`, an unknown conversation a 404.',
        evidence: 'probe',
      },
      'R-ERROR-02': {
        says: 'A conversation in which a response is being made is refused with `conversation_locked`.',
        evidence: 'public issue',
      },
      'R-ERROR-03': {
        says: 'An output without its call and a call without its output are refused with the param `input`.',
        evidence: 'public issue',
      },
      'R-ERROR-04': {
        says: 'An input that is malformed is refused with the place of what is wrong in it.',
        evidence: 'decision',
      },
      'R-ERROR-05': {
        says: 'What belongs to another project is unknown.',
        evidence: 'decision',
      },
      'R-ERROR-06': {
        says: 'A tool of a type that is not here is refused with 400, and named.',
        evidence: 'decision',
      },
      'R-ERROR-07': {
        says: 'A parameter of another form is refused by its name.',
        evidence: 'specification',
      },
      'R-ERROR-08': {
        says: 'What a model server refuses before the first word is refused with that status; in a stream and in the background the response fails.',
        evidence: 'specification',
      },
      'R-ERROR-09': {
        says: 'Unknown responses, conversations and items are a 404.',
        evidence: 'specification',
      },
    },
  },
];
