/**
 * A pair of camera glasses, as far as the server can tell: it asks with one tool, `take_a_photo`; where that is called, it sends a
 * picture without words as its next question, and the server brings both together (docs/devices.md, "The photo relay").
 */
import { EventSourceParserStream } from 'eventsource-parser/stream';
import { decoded, problemOf, type Api } from '../api.ts';
import { isAbort, wordsOf } from '../app.ts';
import { say } from '../say.ts';
import { noteHead, noteText, WireLog, type Exchange } from './wire-log.ts';

/** What the device is doing. */
export type Doing = 'nothing' | 'waiting' | 'speaking' | 'looking';

/** How the device is set up, as in its app. */
export interface SetUp {
  /** The name of an assistant or a model. */
  readonly who: string;
  /** A word of its own, by which the server knows the device again. */
  readonly device: string;
  /** The thread in which the conversation is kept; null for questions that stand for themselves. */
  readonly thread: string | null;
}

/** Where glasses are answered unless the operator has other paths. */
export const DEVICE_PATH = '/custom_agent/chat';
const CAMERA = 'take_a_photo';
const TOOLS = [
  {
    type: 'function',
    function: {
      name: CAMERA,
      description: 'Takes a photo of what is before the user. Call it whenever the answer needs to be seen.',
      parameters: {},
    },
  },
];

type SentContent = string | readonly object[];

interface Chunk {
  readonly choices?: readonly {
    readonly delta?: {
      readonly content?: string | null;
      readonly tool_calls?: readonly { readonly function?: { readonly name?: string } }[];
    };
  }[];
}

export class GlassesDevice {
  doing: Doing = 'nothing';
  /** What the user has asked last; null at first. */
  question: string | null = null;
  /** The picture that was sent with it. */
  photo: string | null = null;
  /** What the device says: the answer so far, or the server's words for a failure. */
  spoken = '';
  /** What went wrong that a device could not say. */
  problem: string | null = null;
  hasHungUp = false;
  /** The thread of the last answer, as the Assistants API names it; null where it has none. */
  threadId: string | null = null;
  readonly wire = new WireLog();
  readonly #api: Api;
  readonly #hasKey: () => boolean;
  readonly #changed: () => void;
  #call: AbortController | null = null;

  /** @param changed called whenever there is something new to be seen */
  constructor(api: Api, hasKey: () => boolean, changed: () => void) {
    this.#api = api;
    this.#hasKey = hasKey;
    this.#changed = changed;
  }

  async ask(setUp: SetUp, question: string): Promise<void> {
    this.question = question;
    this.photo = null;
    await this.#send(setUp, question);
  }

  /** Answers the call of the camera. @param url a data URL */
  async show(setUp: SetUp, url: string): Promise<void> {
    this.photo = url;
    await this.#send(setUp, [
      { type: 'text', text: '' },
      { type: 'image_url', image_url: { url } },
    ]);
  }

  /** Closes the request, which ends the run; or puts the camera away. */
  hangUp(): void {
    if (this.doing === 'nothing') return;
    this.hasHungUp = true;
    this.#call?.abort();
    this.doing = 'nothing';
    this.#changed();
  }

  async #send({ who, device, thread }: SetUp, content: SentContent): Promise<void> {
    this.#call?.abort();
    const call = new AbortController();
    this.#call = call;
    Object.assign(this, { doing: 'waiting', spoken: '', problem: null, hasHungUp: false, threadId: null });
    const body = {
      model: `<${who}>`,
      messages: [{ role: 'user', content }],
      tools: TOOLS,
      stream: true,
      ...(thread !== null && { thread_id: thread }),
    };
    const path = `${DEVICE_PATH}?device=${encodeURIComponent(device)}`;
    const exchange = this.wire.begin(path, body, this.#hasKey());
    this.#changed();
    try {
      const called = await this.#hear(exchange, call.signal);
      if (call.signal.aborted) return;
      this.#end(called);
    } catch (error) {
      if (call.signal.aborted || isAbort(error)) return;
      this.problem = wordsOf(error);
      this.doing = 'nothing';
    } finally {
      exchange.isOver = true;
      this.#changed();
    }
  }

  /** @returns the names of the tools that were called */
  async #hear(exchange: Exchange, signal: AbortSignal): Promise<readonly string[]> {
    const answer = await this.#api.beside(exchange.path, { body: exchange.body, signal });
    noteHead(exchange, answer);
    this.threadId = answer.headers.get('x-thread-id');
    if (!answer.ok || answer.body === null) {
      noteText(exchange, await answer.clone().text());
      throw await problemOf(answer);
    }
    const heard = (text: string, next: TransformStreamDefaultController<string>): void => {
      noteText(exchange, text);
      next.enqueue(text);
    };
    const events = answer.body
      .pipeThrough(new TextDecoderStream())
      .pipeThrough(new TransformStream<string, string>({ transform: heard }))
      .pipeThrough(new EventSourceParserStream());
    const called: string[] = [];
    let isWhole = false;
    for await (const { data } of events) {
      if (signal.aborted) break;
      if (data === '[DONE]') isWhole = true;
      else called.push(...this.#take(decoded<Chunk>(data)));
    }
    if (!isWhole && !signal.aborted) this.problem = brokenOff();
    return called;
  }

  #take({ choices = [] }: Chunk): readonly string[] {
    const delta = choices[0]?.delta ?? {};
    if (typeof delta.content === 'string' && delta.content !== '') {
      this.spoken += delta.content;
      this.doing = 'speaking';
    }
    this.#changed();
    return (delta.tool_calls ?? []).flatMap(({ function: named }) => named?.name ?? []);
  }

  #end(called: readonly string[]): void {
    const isLooking = called.includes(CAMERA);
    this.doing = isLooking ? 'looking' : 'nothing';
    const others = called.filter((name) => name !== CAMERA);
    if (others.length > 0) this.problem = unknownTools(others.join(', '));
  }
}

function brokenOff(): string {
  return say('The connection broke off before the answer had ended.', '回答结束前连接中断了。');
}

function unknownTools(names: string): string {
  return say(
    `The assistant calls ${names}, which glasses do not have. Take the tool from the assistant, or give it to the server.`,
    `助手调用了 ${names}，但眼镜没有这个工具。请从助手中移除它，或把它放到服务器上。`,
  );
}
