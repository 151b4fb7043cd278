/** What the contract asks of the objects: assistants, threads, messages, runs, steps, and the outputs of tools. */
import type { Group } from './requirement.ts';

export const OBJECTS: readonly Group[] = [
  {
    key: 'ASST',
    about: 'assistants',
    requirements: {
      'A-ASST-01': {
        says: 'An assistant needs only a `model`; every other key is there with its default.',
        evidence: 'specification',
      },
      'A-ASST-02': { says: 'What is given of an assistant is shown as it was given.', evidence: 'recorded' },
      'A-ASST-03': {
        says: 'An assistant that is retrieved, or listed, is the one that was created.',
        evidence: 'specification',
      },
      'A-ASST-04': {
        says: 'A modification of an assistant changes the fields that it names and no others.',
        evidence: 'specification',
      },
      'A-ASST-05': {
        says: 'An explicit null sets a field of an assistant back to its default; a model has none and stays.',
        evidence: 'decision',
      },
      'A-ASST-06': {
        says: 'A modification of an assistant replaces its list of tools.',
        evidence: 'specification',
      },
      'A-ASST-07': {
        says: 'A modification of an assistant replaces all of its metadata.',
        evidence: 'decision',
      },
      'A-ASST-08': {
        says: 'The deletion of an assistant answers with its id, `assistant.deleted` and `deleted`; then it is not found.',
        evidence: 'specification',
      },
      'A-ASST-09': {
        says: 'A function without a schema is shown with an empty one, and with `strict: false`.',
        evidence: 'recorded',
      },
      'A-ASST-10': { says: 'A schema is shown with every word as it was given.', evidence: 'recorded' },
      'A-ASST-11': {
        says: 'The name of an assistant has at most 256 characters, a description 512, instructions 256,000; it has at most 128 tools.',
        evidence: 'specification',
      },
      'A-ASST-12': { says: '`temperature` is 0 to 2 and `top_p` 0 to 1.', evidence: 'specification' },
      'A-ASST-13': {
        says: 'The name of a function has 1 to 64 letters, digits, `_` and `-`.',
        evidence: 'specification',
      },
      'A-ASST-14': { says: '`response_format` is shown exactly as it was given.', evidence: 'recorded' },
      'A-ASST-15': { says: '`reasoning_effort` is one of seven words, or null.', evidence: 'specification' },
      'A-ASST-16': {
        says: 'A strict function whose schema leaves room for more is refused with `invalid_function_parameters`.',
        evidence: 'recorded',
      },
      'A-ASST-17': {
        says: 'Any text may be a model: whether there is one is found when it is asked.',
        evidence: 'decision',
      },
      'A-ASST-18': {
        says: 'The deletion of an assistant does not reach its runs.',
        evidence: 'decision',
      },
    },
  },
  {
    key: 'THREAD',
    about: 'threads',
    requirements: {
      'A-THREAD-01': { says: 'A thread can be made from nothing.', evidence: 'recorded' },
      'A-THREAD-02': {
        says: 'A thread has all its keys: metadata and tool resources are empty objects where none were given.',
        evidence: 'specification',
      },
      'A-THREAD-03': { says: 'A thread can be made from an empty list of messages.', evidence: 'recorded' },
      'A-THREAD-04': {
        says: 'The first messages of a thread stand there in their order.',
        evidence: 'specification',
      },
      'A-THREAD-05': {
        says: 'A thread that is retrieved is the one that was created.',
        evidence: 'specification',
      },
      'A-THREAD-06': {
        says: 'Metadata of a thread that is given replaces all of it; where none is given it stays; null empties it.',
        evidence: 'decision',
      },
      'A-THREAD-07': {
        says: 'The deletion of a thread answers with its id, `thread.deleted` and `deleted`; then it is not found.',
        evidence: 'specification',
      },
      'A-THREAD-08': {
        says: 'With a thread that is deleted, its messages, runs and steps are gone.',
        evidence: 'specification',
      },
      'A-THREAD-09': {
        says: 'A thread with an active run can be deleted: its stream ends with an error, and the model is not listened to.',
        evidence: 'decision',
      },
      'A-THREAD-10': {
        says: 'Nothing of a thread can be modified but its metadata and tool resources.',
        evidence: 'specification',
      },
    },
  },
  {
    key: 'MSG',
    about: 'messages',
    requirements: {
      'A-MSG-01': {
        says: 'A message always has all its keys, also the status and times that the hosted API left out.',
        evidence: 'specification',
      },
      'A-MSG-02': { says: 'A message of a client was completed when it was created.', evidence: 'decision' },
      'A-MSG-03': {
        says: 'Content that is a text becomes one text part with `value` and no annotations.',
        evidence: 'recorded',
      },
      'A-MSG-04': {
        says: 'A text part is sent as a plain text and shown as an object.',
        evidence: 'recorded',
      },
      'A-MSG-05': {
        says: 'A picture by URL is shown with its `detail`, which is `auto` where nobody says.',
        evidence: 'specification',
      },
      'A-MSG-06': {
        says: 'A picture is an http(s) URL or a base64 data URL; others are refused.',
        evidence: 'decision',
      },
      'A-MSG-07': {
        says: 'A message is of the user or of the assistant; other roles are refused.',
        evidence: 'specification',
      },
      'A-MSG-08': {
        says: 'What a client says that the assistant has said belongs to no assistant and no run.',
        evidence: 'specification',
      },
      'A-MSG-09': {
        says: 'Content that is empty, as a text or as a list, is refused.',
        evidence: 'specification',
      },
      'A-MSG-10': {
        says: 'A message that is retrieved, or listed, is the one that was created.',
        evidence: 'specification',
      },
      'A-MSG-11': {
        says: 'Nothing of a message can be modified but its metadata.',
        evidence: 'specification',
      },
      'A-MSG-12': {
        says: 'The deletion of a message answers with its id, `thread.message.deleted` and `deleted`; then it is not found.',
        evidence: 'specification',
      },
      'A-MSG-13': { says: 'A message can be deleted while a run has the thread.', evidence: 'decision' },
      'A-MSG-14': {
        says: 'What a run writes is of the assistant, and names assistant, run and thread.',
        evidence: 'recorded',
      },
      'A-MSG-15': { says: 'A message can be retrieved while it is being written.', evidence: 'decision' },
      'A-MSG-16': { says: 'Several messages of one role may follow one another.', evidence: 'specification' },
      'A-MSG-17': {
        says: 'Metadata of a message that is given replaces all of it; where none is given it stays; null empties it.',
        evidence: 'decision',
      },
    },
  },
  {
    key: 'RUN',
    about: 'runs',
    requirements: {
      'A-RUN-01': { says: 'A new run is queued, with every key and its default.', evidence: 'recorded' },
      'A-RUN-02': { says: 'A new run expires 600 seconds after its creation.', evidence: 'recorded' },
      'A-RUN-03': { says: 'A run without instructions has an empty text, not null.', evidence: 'probe' },
      'A-RUN-04': {
        says: '`required_action` lists the pending calls with id, name and arguments as a text, and without an output.',
        evidence: 'recorded',
      },
      'A-RUN-05': {
        says: '`required_action` is null in every status but `requires_action`.',
        evidence: 'recorded',
      },
      'A-RUN-06': {
        says: 'A run shows the values that count for it, whoever gave them.',
        evidence: 'recorded',
      },
      'A-RUN-07': { says: 'Tools of a run are shown with their defaults.', evidence: 'recorded' },
      'A-RUN-08': {
        says: 'A thread that is created with its run has metadata of its own.',
        evidence: 'recorded',
      },
      'A-RUN-09': {
        says: 'Without a `thread` an empty one is created with the run.',
        evidence: 'specification',
      },
      'A-RUN-10': {
        says: '`additional_instructions` are unknown where a thread is created with its run.',
        evidence: 'specification',
      },
      'A-RUN-11': { says: 'The metadata of a run can be modified in every status.', evidence: 'decision' },
      'A-RUN-12': { says: 'Nothing of a run can be modified but its metadata.', evidence: 'specification' },
      'A-RUN-13': { says: 'A run that is listed is the one that is retrieved.', evidence: 'specification' },
      'A-RUN-14': {
        says: 'Usage is null until the run has ended, and then the sum over its steps.',
        evidence: 'recorded',
      },
      'A-RUN-15': {
        says: 'Usage has the three counts, cached tokens and reasoning tokens.',
        evidence: 'recorded',
      },
      'A-RUN-16': { says: '`parallel_tool_calls` is never null.', evidence: 'SDK source' },
      'A-RUN-17': { says: 'A run may have 128 tools.', evidence: 'decision' },
      'A-RUN-18': { says: 'Token budgets may be as small as 1.', evidence: 'public issue' },
      'A-RUN-19': {
        says: 'A run of an unknown assistant is refused like an unknown assistant.',
        evidence: 'public issue',
      },
      'A-RUN-20': {
        says: 'A run keeps what it has copied of its assistant, whatever becomes of that.',
        evidence: 'recorded',
      },
      'A-RUN-21': {
        says: '`truncation_strategy` names a count only where the thread is cut by one.',
        evidence: 'specification',
      },
      'A-RUN-22': {
        says: 'A run is never in a status but the nine of the hosted API.',
        evidence: 'SDK source',
      },
      'A-RUN-23': {
        says: '`last_error` has one of the codes `server_error`, `rate_limit_exceeded` and `invalid_prompt`.',
        evidence: 'specification',
      },
      'A-RUN-24': { says: '`last_messages` needs a count, of at least 1.', evidence: 'specification' },
      'A-RUN-25': {
        says: '`tool_choice` is shown as it was given, `auto` where it was not.',
        evidence: 'specification',
      },
    },
  },
  {
    key: 'STEP',
    about: 'steps',
    requirements: {
      'A-STEP-01': {
        says: 'A step always has all its keys, also those that the hosted API left out.',
        evidence: 'specification',
      },
      'A-STEP-02': { says: 'A step that writes a message names it.', evidence: 'recorded' },
      'A-STEP-03': {
        says: 'A step of calls shows each with its whole arguments, and with no output until there is one.',
        evidence: 'recorded',
      },
      'A-STEP-04': { says: 'Calls of one turn are in one step.', evidence: 'recorded' },
      'A-STEP-05': {
        says: 'An answered step shows the outputs word by word and is completed.',
        evidence: 'recorded',
      },
      'A-STEP-06': {
        says: 'Each step has the usage of its turn; it is null while the step is open.',
        evidence: 'recorded',
      },
      'A-STEP-07': {
        says: 'The steps of a run with one call are its message and its call, newest first.',
        evidence: 'recorded',
      },
      'A-STEP-08': {
        says: 'A step shows when its run expires while the run waits, and nothing once it has ended.',
        evidence: 'recorded',
      },
      'A-STEP-09': {
        says: 'Where a turn has words and calls, the words are a step before that of the calls, which has the usage of both.',
        evidence: 'decision',
      },
      'A-STEP-10': { says: 'Steps cannot be created, modified or deleted.', evidence: 'specification' },
      'A-STEP-11': {
        says: 'A step that was cancelled says when, and its calls stay without outputs.',
        evidence: 'specification',
      },
      'A-STEP-12': { says: 'A step that expired says when.', evidence: 'specification' },
      'A-STEP-13': { says: 'A step that failed says when and why.', evidence: 'specification' },
      'A-STEP-14': {
        says: 'However a run ends, its steps have no `expires_at` any more.',
        evidence: 'decision',
      },
      'A-STEP-15': {
        says: 'The error of a step has one of the codes `server_error` and `rate_limit_exceeded`.',
        evidence: 'specification',
      },
      'A-STEP-16': { says: 'A step that is retrieved is the one that is listed.', evidence: 'specification' },
      'A-STEP-17': { says: 'A step stays as it is when its message is deleted.', evidence: 'decision' },
    },
  },
  {
    key: 'OUT',
    about: 'tool outputs',
    requirements: {
      'A-OUT-01': { says: 'Outputs of all pending calls come together, in any order.', evidence: 'recorded' },
      'A-OUT-02': { says: 'An output that is missing is an empty text.', evidence: 'decision' },
      'A-OUT-03': {
        says: 'Outputs for other calls than the pending ones, for fewer, or for one twice are refused with both lists of ids.',
        evidence: 'public issue',
      },
      'A-OUT-04': { says: 'An output without a call id is for no pending call.', evidence: 'specification' },
      'A-OUT-05': {
        says: 'A run that does not wait takes no outputs, and the refusal names its status.',
        evidence: 'public issue',
      },
      'A-OUT-06': {
        says: 'A run that has its outputs is queued, waits for nothing, and keeps its start and its expiry.',
        evidence: 'recorded',
      },
      'A-OUT-07': {
        says: 'Who polls after a submission is not shown the same calls as pending again.',
        evidence: 'SDK source',
      },
      'A-OUT-08': {
        says: 'Of two different submissions at once one is taken, and the other refused.',
        evidence: 'decision',
      },
      'A-OUT-09': {
        says: 'The same submission twice counts once, while the run lives.',
        evidence: 'decision',
      },
      'A-OUT-10': { says: 'Outputs are kept word by word.', evidence: 'recorded' },
      'A-OUT-11': {
        says: 'A run may wait again, any number of times, each time in a new step.',
        evidence: 'specification',
      },
      'A-OUT-12': { says: 'A run that has expired takes no outputs.', evidence: 'specification' },
      'A-OUT-13': {
        says: 'Bodies of submissions are checked by the path of what is wrong.',
        evidence: 'specification',
      },
      'A-OUT-14': { says: 'The usage of a run is null while it waits for outputs.', evidence: 'recorded' },
    },
  },
];
