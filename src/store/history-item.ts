/** An item of a thread as it was read for a prompt. */
import type { KeptAsides } from '../runs/asides.ts';
import { leastTokens } from '../runs/blocks.ts';
import type { KeptThought } from '../runs/thoughts.ts';
import type { ThreadItem } from '../runs/thread.ts';
import type { Damage } from './damage.ts';
import { decode, decodePart } from './json.ts';
import { withOldPhotos } from './old-photos.ts';

/** JSON; '' where there is none. */
interface Documents {
  readonly item: string;
  /** What was thought before a step of calls, and said beside it. */
  readonly thoughts: string;
  readonly asides: string;
}

interface Where {
  readonly threadId: string;
  readonly id: string;
  readonly place: number;
  readonly isMessage: boolean;
}

/** A message or a step of calls. Its documents are parsed when somebody asks for what they say, and only once. */
export class HistoryItem {
  readonly id: string;
  /** Where it stands among the messages, steps and runs of its thread. */
  readonly place: number;
  readonly isMessage: boolean;
  /** Of its documents. */
  readonly bytes: number;
  readonly #threadId: string;
  readonly #damage: Damage;
  #documents: Documents | null;
  #item: ThreadItem | null = null;
  #thoughts: readonly KeptThought[] | null = null;
  #asides: KeptAsides | null = null;
  #tokens: number | null = null;

  constructor(
    { threadId, id, place, isMessage }: Where,
    documents: Documents,
    damage: Damage,
    bytes?: number,
  ) {
    this.#threadId = threadId;
    this.id = id;
    this.place = place;
    this.isMessage = isMessage;
    this.bytes = bytes ?? bytesOf(documents);
    this.#documents = documents;
    this.#damage = damage;
  }

  /** Null for one that is damaged, or has left nothing but its place. */
  get item(): ThreadItem | null {
    if (this.#documents !== null) this.#parse(this.#documents);
    return this.#item;
  }

  /** What a model thought before a step of calls. */
  get thoughts(): readonly KeptThought[] | null {
    if (this.#documents !== null) this.#parse(this.#documents);
    return this.#thoughts;
  }

  /** What its server said beside a step of calls. */
  get asides(): KeptAsides | null {
    if (this.#documents !== null) this.#parse(this.#documents);
    return this.#asides;
  }

  /** What it takes of a prompt at the least. */
  get tokens(): number {
    return (this.#tokens ??= this.item === null ? 0 : leastTokens(this.item));
  }

  /** Whether nothing will be added to it. */
  get isClosed(): boolean {
    return this.item !== null && 'status' in this.item && this.item.status !== 'in_progress';
  }

  get isOfUser(): boolean {
    return this.item?.object === 'thread.message' && this.item.role === 'user';
  }

  #parse({ item, thoughts, asides }: Documents): void {
    this.#documents = null;
    const read = <T>(text: string, parse: () => T): T | null =>
      text === '' ? null : this.#damage.skip(parse);
    const found = read(item, () => decodePart<ThreadItem>(item, `item ${this.id}`, this.#threadId));
    if (found === null) return;
    this.#item = withOldPhotos(found);
    this.#thoughts = read(thoughts, () => decode<readonly KeptThought[]>(thoughts, `thoughts of ${this.id}`));
    this.#asides = read(asides, () => decode<KeptAsides>(asides, `asides of ${this.id}`));
  }
}

function bytesOf({ item, thoughts, asides }: Documents): number {
  const beside =
    thoughts === '' && asides === '' ? 0 : Buffer.byteLength(thoughts) + Buffer.byteLength(asides);
  return Buffer.byteLength(item) + beside;
}
