/** What the contract asks of streams: frames, orders of events, deltas, and what clients build on. */
import type { Group } from './requirement.ts';

export const STREAMS: readonly Group[] = [
  {
    key: 'FRAME',
    about: 'streams: frames',
    requirements: {
      'A-FRAME-01': {
        says: 'The answer is a stream where the body says `stream: true`, whatever the header `Accept` says.',
        evidence: 'probe',
      },
      'A-FRAME-02': {
        says: 'A stream is a 200 of `text/event-stream; charset=utf-8`, not to be cached and not compressed.',
        evidence: 'recorded',
      },
      'A-FRAME-03': {
        says: 'A frame is one `event:` line, one `data:` line and an empty line.',
        evidence: 'recorded',
      },
      'A-FRAME-04': {
        says: 'The last frame is the event `done` with the data `[DONE]`, and its empty line is sent.',
        evidence: 'recorded',
      },
      'A-FRAME-05': { says: 'A stream has no `id:` line and no `retry:` line.', evidence: 'probe' },
      'A-FRAME-06': {
        says: 'While the model says nothing, comments come that end no event.',
        evidence: 'probe',
      },
      'A-FRAME-07': { says: 'A stream begins before the model has said a word.', evidence: 'probe' },
      'A-FRAME-08': {
        says: 'A request that is refused is answered in plain JSON, also where it asks for a stream.',
        evidence: 'probe',
      },
      'A-FRAME-09': {
        says: 'No object of a stream has a key `error` at its top, but that of the event `error`.',
        evidence: 'SDK source',
      },
      'A-FRAME-10': {
        says: 'A stream has no events but those of the hosted API.',
        evidence: 'specification',
      },
      'A-FRAME-11': { says: 'All data but `[DONE]` is a JSON object on one line.', evidence: 'SDK source' },
      'A-FRAME-12': { says: 'Who hangs up on a stream leaves its run running.', evidence: 'public issue' },
      'A-FRAME-13': { says: 'Who does not read a stream does not hold its run back.', evidence: 'decision' },
      'A-FRAME-14': {
        says: 'A fault that no run can tell is the event `error` with an object under `error`, and then `done`.',
        evidence: 'probe',
      },
      'A-FRAME-15': { says: 'Proxies are asked not to hold a stream back.', evidence: 'decision' },
    },
  },
  {
    key: 'ORDER',
    about: 'streams: orders of events',
    requirements: {
      'A-ORDER-01': {
        says: 'A run of text begins, opens step and message, grows the message, closes message, step and run.',
        evidence: 'recorded',
      },
      'A-ORDER-02': {
        says: '`thread.created` comes first where the thread is created with the run, and nowhere else.',
        evidence: 'specification',
      },
      'A-ORDER-03': {
        says: '`thread.run.created` and `thread.run.queued` hold the same object.',
        evidence: 'recorded',
      },
      'A-ORDER-04': {
        says: 'A run that calls a tool opens a step of no calls, grows it, and ends with `requires_action` while the step is open.',
        evidence: 'recorded',
      },
      'A-ORDER-05': {
        says: 'Of several calls each is told to its end before the next.',
        evidence: 'recorded',
      },
      'A-ORDER-06': {
        says: 'A stream of a submission begins with the end of the answered step, then `queued` and `in_progress`.',
        evidence: 'recorded',
      },
      'A-ORDER-07': {
        says: 'Words before a call are a step of their own, closed before the step of the call opens.',
        evidence: 'decision',
      },
      'A-ORDER-08': {
        says: 'A run that fails in its words ends with message, step and run, in this order.',
        evidence: 'probe',
      },
      'A-ORDER-09': {
        says: 'A run that fails before it says anything ends with `thread.run.failed` alone.',
        evidence: 'probe',
      },
      'A-ORDER-10': {
        says: 'An answer that was too long ends with an incomplete message, a completed step and an incomplete run.',
        evidence: 'probe',
      },
      'A-ORDER-11': {
        says: 'A run that is cancelled in its words tells `cancelling`, then closes message, step and run.',
        evidence: 'probe',
      },
      'A-ORDER-12': {
        says: 'A run that is cancelled before its words ends with `cancelling` and `cancelled`.',
        evidence: 'probe',
      },
      'A-ORDER-13': {
        says: 'A run that expires in its words closes message and step, then expires.',
        evidence: 'probe',
      },
      'A-ORDER-14': {
        says: 'A run that fails in its calls closes the step, then fails.',
        evidence: 'specification',
      },
      'A-ORDER-15': {
        says: 'The last event before `done` is one of the six that end a stream.',
        evidence: 'probe',
      },
      'A-ORDER-16': {
        says: 'An answer without a word is a message all the same, with one delta.',
        evidence: 'probe',
      },
      'A-ORDER-17': {
        says: 'A run that another worker takes over is told in a legal order, also where it is told anew.',
        evidence: 'decision',
      },
    },
  },
  {
    key: 'DELTA',
    about: 'streams: deltas',
    requirements: {
      'A-DELTA-01': {
        says: 'A delta of a message has its id, `thread.message.delta` and a list of content.',
        evidence: 'recorded',
      },
      'A-DELTA-02': {
        says: 'The first delta of a message has an empty list of annotations, later ones none.',
        evidence: 'recorded',
      },
      'A-DELTA-03': { says: 'The id and the name of a call are said once.', evidence: 'SDK source' },
      'A-DELTA-04': {
        says: 'The first delta of a call has empty arguments and a null output; later ones have arguments only.',
        evidence: 'recorded',
      },
      'A-DELTA-05': {
        says: 'Every delta of a step says that it is about calls, and every entry has `index` and `type`.',
        evidence: 'recorded',
      },
      'A-DELTA-06': { says: 'A delta has one entry.', evidence: 'recorded' },
      'A-DELTA-07': { says: 'Calls are counted from 0 in every step, without gaps.', evidence: 'recorded' },
      'A-DELTA-08': { says: 'Deltas of a message add up to its text.', evidence: 'SDK source' },
      'A-DELTA-09': { says: 'Deltas of a call add up to its arguments.', evidence: 'SDK source' },
      'A-DELTA-10': { says: 'A delta of a step has no `id` beside its details.', evidence: 'SDK source' },
      'A-DELTA-11': {
        says: 'An annotation comes whole and once, and is counted through its message from 0.',
        evidence: 'recorded',
      },
    },
  },
  {
    key: 'INV',
    about: 'streams: what clients build on',
    requirements: {
      'A-INV-01': { says: 'One message is open at a time.', evidence: 'SDK source' },
      'A-INV-02': { says: 'One step is open at a time.', evidence: 'SDK source' },
      'A-INV-03': {
        says: 'A message is closed before its step, and a step before its run.',
        evidence: 'SDK source',
      },
      'A-INV-04': { says: 'A message or step is created once in a stream.', evidence: 'SDK source' },
      'A-INV-05': {
        says: 'Every event of a message or step is about the one that is open.',
        evidence: 'SDK source',
      },
      'A-INV-06': {
        says: 'A message that is closed holds all that was said, also where it was cut off.',
        evidence: 'probe',
      },
      'A-INV-07': {
        says: 'Every message of the assistant has a delta and ends with a part.',
        evidence: 'SDK source',
      },
      'A-INV-08': {
        says: 'A message that is created has a list of content, which is empty.',
        evidence: 'SDK source',
      },
      'A-INV-09': { says: 'A step that ends has its details, with their type.', evidence: 'SDK source' },
      'A-INV-10': {
        says: 'What an SDK has made of a stream is what it retrieves afterwards.',
        evidence: 'SDK source',
      },
      'A-INV-11': { says: 'The last event about an object shows it as it is stored.', evidence: 'decision' },
      'A-INV-12': { says: 'Every run of a stream comes to an end that SDKs know.', evidence: 'SDK source' },
    },
  },
];
