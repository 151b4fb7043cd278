/** The order in which a thread is shown: messages, and between them what the runs did. */
import { hasEnded, type Message, type Run, type Step, type StepCall } from '../wire.ts';
import type { ThreadRecord, Turn } from './record.ts';

export type Entry =
  | { readonly kind: 'message'; readonly key: string; readonly message: Message }
  | Deed
  | { readonly kind: 'run'; readonly key: string; readonly turn: Turn };

/** What a run did besides speaking. */
type Deed =
  | { readonly kind: 'thoughts'; readonly key: string; readonly text: string }
  | { readonly kind: 'calls'; readonly key: string; readonly step: Step; readonly turn: Turn };

/** A deed, and the second in which it began. */
interface Dated {
  readonly entry: Deed;
  readonly at: number;
}

/** By the place of the message before which they stand; the number of messages stands for the end. */
type Places = Map<number, Entry[]>;

/**
 * What a run did besides speaking stands before the message it led to; what led to none, and how the run stands, behind its last
 * message. Runs that have said nothing stand behind the message they were to answer. Messages that joined a run under way stand
 * where they joined.
 */
export function timeline(record: ThreadRecord, hasAll: boolean): readonly Entry[] {
  const messages = [...record.messages.values()];
  const placeOf = new Map(messages.map(({ id }, place) => [id, place]));
  const places: Places = new Map();
  const [oldest] = messages;
  for (const turn of record.turns.values()) {
    const { run } = turn;
    const { deeds, rest } = deedsOf(turn, record.messages);
    const last = messages.findLastIndex(({ id, run_id }) => run_id === run.id || deeds.has(id));
    // Its place comes into view with older messages.
    if (last === -1 && !hasAll && run.created_at < (oldest?.created_at ?? 0)) continue;
    for (const [id, dated] of deeds)
      for (const deed of dated)
        put(places, joinedBefore(messages, placeOf.get(id) ?? 0, run, deed), deed.entry);
    const end = endOf(messages, run, last);
    for (const deed of rest) put(places, joinedBefore(messages, end, run, deed), deed.entry);
    put(places, end, { kind: 'run', key: run.id, turn });
  }
  const told = messages.flatMap((message, place): readonly Entry[] => [
    ...(places.get(place) ?? []),
    { kind: 'message', key: message.id, message },
  ]);
  return [...told, ...(places.get(messages.length) ?? [])];
}

function put(places: Places, place: number, entry: Entry): void {
  const there = places.get(place);
  if (there === undefined) places.set(place, [entry]);
  else there.push(entry);
}

/** The place behind all that belongs to a run: its question, what it said, and what joined it. @param last what it said last; -1: nothing */
function endOf(messages: readonly Message[], run: Run, last: number): number {
  const asked = messages.findLastIndex(({ role, created_at: at }) => role === 'user' && at <= run.created_at);
  let end = (last === -1 ? asked : last) + 1;
  while (hasJoined(messages[end], run)) end += 1;
  return end;
}

/** The place before those messages that joined the run after the deed had begun. @param place where it would stand without them */
function joinedBefore(messages: readonly Message[], place: number, run: Run, { at }: Dated): number {
  let before = place;
  for (let earlier = place - 1; hasJoined(messages[earlier], run); earlier -= 1)
    if (at <= (messages[earlier]?.created_at ?? 0)) before = earlier;
  return before;
}

function hasJoined(message: Message | undefined, run: Run): boolean {
  if (message?.role !== 'user' || message.created_at <= run.created_at) return false;
  const ended =
    run.completed_at ?? run.failed_at ?? run.cancelled_at ?? (hasEnded(run.status) ? 0 : Infinity);
  return message.created_at < ended;
}

/** What a run did: by the message that it led to, and what led to none so far. @param messages that are shown */
function deedsOf(
  turn: Turn,
  messages: ReadonlyMap<string, Message>,
): { readonly deeds: ReadonlyMap<string, readonly Dated[]>; readonly rest: readonly Dated[] } {
  const deeds = new Map<string, Dated[]>();
  const made = madeCalls(turn);
  let open: Dated[] = [];
  const think = (place: number, at: number): void => {
    const text = turn.thoughts[place] ?? '';
    if (text !== '') open.push({ entry: { kind: 'thoughts', key: `${turn.run.id}-${place}`, text }, at });
  };
  const steps = turn.steps ?? [];
  for (const [place, step] of steps.entries()) {
    const { created_at: at, step_details: details } = step;
    think(place, at);
    if (details.type === 'tool_calls') {
      const shown = withoutAsked(step, made);
      if (shown !== null) open.push({ entry: { kind: 'calls', key: step.id, step: shown, turn }, at });
    } else if (messages.has(details.message_creation.message_id)) {
      // A message that was taken back leaves what led to it to the next.
      deeds.set(details.message_creation.message_id, open);
      open = [];
    }
  }
  for (let place = steps.length; place < turn.thoughts.length; place += 1) think(place, Infinity);
  return { deeds, rest: open };
}

/** The calls that asked for an approval, got it, and were made. */
function madeCalls({ steps }: Turn): ReadonlySet<string> {
  const calls = (steps ?? []).flatMap(({ step_details: details }) =>
    details.type === 'tool_calls' ? details.tool_calls : [],
  );
  return new Set(
    calls.flatMap((call) =>
      call.type === 'function' && call.approval_request_id !== undefined ? [call.approval_request_id] : [],
    ),
  );
}

/** A step without the calls that only asked for what was then done, so that each is told once; null where nothing is left. */
function withoutAsked(step: Step, made: ReadonlySet<string>): Step | null {
  const { step_details: details } = step;
  if (details.type !== 'tool_calls') return step;
  // The call that is made may have the id of the one that asked.
  const hasOnlyAsked = (call: StepCall): boolean =>
    call.type === 'function' && call.requires_approval === true && made.has(call.id);
  if (!details.tool_calls.some(hasOnlyAsked)) return step;
  const tool_calls = details.tool_calls.filter((call) => !hasOnlyAsked(call));
  return tool_calls.length === 0 ? null : { ...step, step_details: { ...details, tool_calls } };
}
