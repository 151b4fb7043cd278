/** The order in which a thread is shown: messages, and between them what the runs did. */
import type { Message, Step } from '../wire.ts';
import type { ThreadRecord, Turn } from './record.ts';

export type Entry =
  | { readonly kind: 'message'; readonly key: string; readonly message: Message }
  | { readonly kind: 'thoughts'; readonly key: string; readonly text: string }
  | { readonly kind: 'calls'; readonly key: string; readonly step: Step; readonly turn: Turn }
  | { readonly kind: 'run'; readonly key: string; readonly turn: Turn };

/**
 * What a run did besides speaking stands before the message it led to; what led to none, and how the run stands, behind its last
 * message. Runs that have said nothing stand behind the message they were to answer.
 */
export function timeline(record: ThreadRecord, hasAll: boolean): readonly Entry[] {
  const messages = [...record.messages.values()];
  const before = new Map<string, Entry[]>();
  const behind = new Map<string, Entry[]>();
  const [oldest] = messages;
  for (const turn of record.turns.values()) {
    const { deeds, rest } = deedsOf(turn);
    for (const [messageId, entries] of deeds) before.set(messageId, entries);
    const last = messages.findLast(({ id, run_id }) => run_id === turn.run.id || deeds.has(id));
    // Its place comes into view with older messages.
    if (last === undefined && !hasAll && turn.run.created_at < (oldest?.created_at ?? 0)) continue;
    const place =
      last ?? messages.findLast(({ role, created_at: at }) => role === 'user' && at <= turn.run.created_at);
    const key = place?.id ?? '';
    behind.set(key, [...(behind.get(key) ?? []), ...rest, { kind: 'run', key: turn.run.id, turn }]);
  }
  const told = messages.flatMap((message): readonly Entry[] => {
    return [
      ...(before.get(message.id) ?? []),
      { kind: 'message', key: message.id, message },
      ...(behind.get(message.id) ?? []),
    ];
  });
  return [...(behind.get('') ?? []), ...told];
}

/** What a run did: by the message that it led to, and what led to none so far. */
function deedsOf(turn: Turn): {
  readonly deeds: ReadonlyMap<string, Entry[]>;
  readonly rest: readonly Entry[];
} {
  const deeds = new Map<string, Entry[]>();
  let open: Entry[] = [];
  const think = (place: number): void => {
    const text = turn.thoughts[place] ?? '';
    if (text !== '') open.push({ kind: 'thoughts', key: `${turn.run.id}-${place}`, text });
  };
  const steps = turn.steps ?? [];
  for (const [place, step] of steps.entries()) {
    think(place);
    if (step.step_details.type === 'message_creation') {
      deeds.set(step.step_details.message_creation.message_id, open);
      open = [];
    } else open.push({ kind: 'calls', key: step.id, step, turn });
  }
  for (let place = steps.length; place < turn.thoughts.length; place += 1) think(place);
  return { deeds, rest: open };
}
