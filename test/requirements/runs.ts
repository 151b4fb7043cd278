/** What the contract asks of runs: their parameters, what the model is asked, their life, expiry, cancels, and the lock. */
import type { Group } from './requirement.ts';

export const RUNS: readonly Group[] = [
  {
    key: 'PARAM',
    about: 'parameters',
    requirements: {
      'A-PARAM-01': {
        says: 'Instructions of a run take the place of its assistant’s, also where they are empty.',
        evidence: 'specification',
      },
      'A-PARAM-02': {
        says: 'Additional instructions are appended to either, and the run shows the whole.',
        evidence: 'decision',
      },
      'A-PARAM-03': {
        says: 'Additional messages join the thread in their order, before the run, and stay there.',
        evidence: 'specification',
      },
      'A-PARAM-04': { says: 'Additional messages belong to no run.', evidence: 'decision' },
      'A-PARAM-05': {
        says: 'A run that is refused adds none of its additional messages.',
        evidence: 'specification',
      },
      'A-PARAM-06': {
        says: 'Tools of a run take the place of its assistant’s, for this run; an empty list is none.',
        evidence: 'specification',
      },
      'A-PARAM-07': { says: 'Where `tool_choice` is `none`, nothing is called.', evidence: 'specification' },
      'A-PARAM-08': {
        says: 'A tool that must be called must be called in the first turn only.',
        evidence: 'specification',
      },
      'A-PARAM-09': { says: 'A choice that cannot be fulfilled is refused.', evidence: 'decision' },
      'A-PARAM-10': {
        says: 'With `parallel_tool_calls: false` a run never waits for two calls at once.',
        evidence: 'specification',
      },
      'A-PARAM-11': {
        says: 'Model, temperature, `top_p`, effort and format are the run’s, else the assistant’s.',
        evidence: 'specification',
      },
      'A-PARAM-12': {
        says: 'With `last_messages` the model is told so many messages of the thread, the newest.',
        evidence: 'specification',
      },
      'A-PARAM-13': {
        says: 'What this run itself has said and called is never cut.',
        evidence: 'specification',
      },
      'A-PARAM-14': {
        says: 'Where a thread is too long, the instructions stay, and its beginning and newest messages as long as they can.',
        evidence: 'specification',
      },
      'A-PARAM-15': {
        says: '`max_prompt_tokens` is spent by all turns together; first it cuts, then the run is incomplete.',
        evidence: 'guide',
      },
      'A-PARAM-16': {
        says: '`max_completion_tokens` is spent by all turns together; each may say what is left, and then the run is incomplete.',
        evidence: 'guide',
      },
      'A-PARAM-17': { says: 'The metadata of a run does not reach the model.', evidence: 'decision' },
      'A-PARAM-18': {
        says: 'The metadata of a run is its own, not its assistant’s.',
        evidence: 'specification',
      },
    },
  },
  {
    key: 'MAP',
    about: 'mapping to chat completions',
    requirements: {
      'A-MAP-01': {
        says: 'Instructions are the first message, of the system; without any there is none.',
        evidence: 'decision',
      },
      'A-MAP-02': { says: 'Text parts are joined by newlines.', evidence: 'decision' },
      'A-MAP-03': {
        says: 'A message with pictures is a list of parts, each picture with URL and detail.',
        evidence: 'decision',
      },
      'A-MAP-04': { says: 'An assistant’s message without text is left out.', evidence: 'decision' },
      'A-MAP-05': {
        says: 'A message of the assistant is a turn of the assistant, whoever wrote it, and without its annotations.',
        evidence: 'decision',
      },
      'A-MAP-06': {
        says: 'An answered step is the calls, then one answer each, in the order of the calls.',
        evidence: 'decision',
      },
      'A-MAP-07': { says: 'Words and calls of one turn are one message.', evidence: 'decision' },
      'A-MAP-08': {
        says: 'The model is told no call without its answer, and no answer without its call.',
        evidence: 'decision',
      },
      'A-MAP-09': { says: 'Answered steps of earlier runs stand where they happened.', evidence: 'decision' },
      'A-MAP-10': {
        says: 'Tools, their choice and parallel calls are named only where there are tools.',
        evidence: 'decision',
      },
      'A-MAP-11': {
        says: 'Values that are the defaults are left to the model server.',
        evidence: 'decision',
      },
      'A-MAP-12': {
        says: 'The model is always asked for a stream, and for its usage where its server is known to take that.',
        evidence: 'decision',
      },
      'A-MAP-13': {
        says: 'The field for the tokens that may be said is the one that the model server knows.',
        evidence: 'decision',
      },
      'A-MAP-14': {
        says: 'Calls are counted from 0 in the order of their appearance, whatever indices the model gave.',
        evidence: 'decision',
      },
      'A-MAP-15': {
        says: 'Ids and names of calls that a model says again are told once.',
        evidence: 'decision',
      },
      'A-MAP-16': {
        says: 'A turn with calls waits for their outputs, also where the model says that it ended with `stop`.',
        evidence: 'decision',
      },
      'A-MAP-17': {
        says: 'A turn without a word and a call is a message with an empty text.',
        evidence: 'decision',
      },
      'A-MAP-18': {
        says: 'Usage that the model does not tell is estimated: a run that has ended has some.',
        evidence: 'decision',
      },
      'A-MAP-19': {
        says: 'Thoughts are not part of the answer; what they cost is counted.',
        evidence: 'decision',
      },
      'A-MAP-20': { says: 'A refusal of the model is text.', evidence: 'decision' },
      'A-MAP-21': {
        says: 'A model is asked again only while nothing of its answer was passed on.',
        evidence: 'decision',
      },
      'A-MAP-22': {
        says: 'What a run says of tools, their choice, format, temperature, `top_p` and effort reaches the model as it is, unless its server refuses it.',
        evidence: 'decision',
      },
    },
  },
  {
    key: 'LIFE',
    about: 'the life of a run',
    requirements: {
      'A-LIFE-01': {
        says: 'A run changes its status only along the hosted API’s ways, and back to the queue where it lost its worker.',
        evidence: 'specification',
      },
      'A-LIFE-02': { says: 'After a submission a run is queued again.', evidence: 'recorded' },
      'A-LIFE-03': {
        says: '`started_at` is when a worker began, and after a submission when one began again.',
        evidence: 'recorded',
      },
      'A-LIFE-04': {
        says: 'A run that is completed says when, has its usage, and does not expire any more.',
        evidence: 'recorded',
      },
      'A-LIFE-05': {
        says: 'A run that failed says when and why, and does not expire any more.',
        evidence: 'specification',
      },
      'A-LIFE-06': {
        says: 'A run that is incomplete says why, and has no time of completion.',
        evidence: 'specification',
      },
      'A-LIFE-07': {
        says: 'A run that was cancelled says when, and does not expire any more.',
        evidence: 'specification',
      },
      'A-LIFE-08': { says: 'A run that expired goes on saying when.', evidence: 'decision' },
      'A-LIFE-09': {
        says: 'Where the model is asked too often, the run fails with `rate_limit_exceeded` and the model’s words.',
        evidence: 'decision',
      },
      'A-LIFE-10': {
        says: 'Where the model refuses the prompt, the run fails with `invalid_prompt`.',
        evidence: 'decision',
      },
      'A-LIFE-11': {
        says: 'Where the model objects in the middle of its words, the run fails with that reason.',
        evidence: 'decision',
      },
      'A-LIFE-12': {
        says: 'Any other fault of a model server fails the run with `server_error`.',
        evidence: 'decision',
      },
      'A-LIFE-13': {
        says: 'A message whose run failed is incomplete for that reason.',
        evidence: 'specification',
      },
      'A-LIFE-14': {
        says: 'Where the answer was too long, run and message are incomplete for their reasons, and the step is completed.',
        evidence: 'specification',
      },
      'A-LIFE-15': {
        says: 'Where the answer was filtered, run and message are incomplete for that reason.',
        evidence: 'public issue',
      },
      'A-LIFE-16': {
        says: 'Calls that were cut off are nobody’s to answer: the step fails, and the run is incomplete.',
        evidence: 'decision',
      },
    },
  },
  {
    key: 'EXPIRY',
    about: 'expiry',
    requirements: {
      'A-EXPIRY-01': {
        says: 'A run may be given less time than the limit of the server, and never more.',
        evidence: 'decision',
      },
      'A-EXPIRY-02': {
        says: 'The time of a run goes on while it waits for its client.',
        evidence: 'recorded',
      },
      'A-EXPIRY-03': { says: 'A run expires while it is queued, works or waits.', evidence: 'specification' },
      'A-EXPIRY-04': {
        says: 'A run that is being cancelled is cancelled rather than expired.',
        evidence: 'decision',
      },
      'A-EXPIRY-05': {
        says: 'The open message of a run that expires is incomplete for that reason, and its open step expires.',
        evidence: 'specification',
      },
      'A-EXPIRY-06': { says: 'Nobody ever sees a run wait whose time is over.', evidence: 'decision' },
      'A-EXPIRY-07': { says: 'A run whose time is over ends also when nobody looks.', evidence: 'decision' },
      'A-EXPIRY-08': { says: 'Of a submission and the expiry at once, one counts.', evidence: 'decision' },
    },
  },
  {
    key: 'CANCEL',
    about: 'cancels',
    requirements: {
      'A-CANCEL-01': {
        says: 'A run that is queued, works or waits can be cancelled, and the answer shows `cancelling`.',
        evidence: 'specification',
      },
      'A-CANCEL-02': { says: 'The answer to a cancel has no time of it yet.', evidence: 'specification' },
      'A-CANCEL-03': {
        says: 'A run that has ended is not cancelled, and the refusal names its status.',
        evidence: 'public issue',
      },
      'A-CANCEL-04': { says: 'A run that is being cancelled is not cancelled again.', evidence: 'decision' },
      'A-CANCEL-05': {
        says: 'The open message of a run that is cancelled is incomplete for that reason and keeps what was said; its open step is cancelled.',
        evidence: 'specification',
      },
      'A-CANCEL-06': {
        says: 'A run that waited waits for nothing any more once it is cancelled.',
        evidence: 'specification',
      },
      'A-CANCEL-07': {
        says: 'Once a run is cancelled, the question to its model is hung up on.',
        evidence: 'decision',
      },
      'A-CANCEL-08': {
        says: 'A run that is being cancelled may still complete, fail or be incomplete, where that was on its way.',
        evidence: 'guide',
      },
    },
  },
  {
    key: 'LOCK',
    about: 'the lock of a thread',
    requirements: {
      'A-LOCK-01': {
        says: 'A thread with an active run takes no message, and the refusal names thread and run.',
        evidence: 'public issue',
      },
      'A-LOCK-02': {
        says: 'A thread with an active run takes no second one, and the refusal names thread and run.',
        evidence: 'public issue',
      },
      'A-LOCK-03': {
        says: 'A thread with an active run takes no messages along with another run either.',
        evidence: 'decision',
      },
      'A-LOCK-04': {
        says: 'A run is active from its creation on: queued, at work, waiting and being cancelled.',
        evidence: 'specification',
      },
      'A-LOCK-05': {
        says: 'A run that has ended, in whatever way, frees its thread.',
        evidence: 'specification',
      },
      'A-LOCK-06': { says: 'Of runs that are created at once, exactly one is.', evidence: 'decision' },
      'A-LOCK-07': {
        says: 'While a run is active, everything but adding messages and runs can be done in its thread.',
        evidence: 'decision',
      },
    },
  },
];
