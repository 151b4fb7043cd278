/**
 * Reads chat requests of all kinds of clients into turns. Strict where OpenAI is strict, lenient where devices deviate:
 * their image parts, their extra keys, their ids as numbers.
 */
import { hash } from 'node:crypto';
import { z } from 'zod';
import { ApiError, echo, unsupported } from '../../errors.ts';
import { isMedia, type ChatMessage, type ChatPart } from '../../runs/model.ts';
import type { Call } from '../http/call.ts';
import { noSoundKept } from '../http/kept-sound.ts';
import * as shapes from '../http/shapes.ts';
import { validate } from '../http/validate.ts';
import { oldChoice, oldFunctions, toolsIn, type AskedTools } from './functions.ts';
import { key, message, toMessages } from './messages.ts';
import { passedOn, PASSED_ON, withExtraBody, withoutSlips, withoutUnlimited } from './parameters.ts';
import { speechIn, withoutSpeech, type AskedSpeech, type SpeechDefaults } from './speech/asked.ts';
import { withSentPictures } from './sent-pictures.ts';
import { needsNoThread, toolChoice, tools } from './tools.ts';
import { lastUserMessage, pictureIn, textIn, type ChatSettings, type ChatTurn } from '../../turns/turn.ts';

const MAX_MESSAGES = 10_000;
const MAX_KEY_LENGTH = 256;

/** Fields that have an effect here. All others go to the upstream (parameters.ts), to the tools, or to both. */
const body = z.looseObject({
  model: z.string().min(1).max(256),
  messages: z.array(message).min(1).max(MAX_MESSAGES),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  tools: tools.optional(),
  tool_choice: toolChoice,
  parallel_tool_calls: z.boolean().nullish(),
  response_format: shapes.passedFormat,
  temperature: shapes.temperature,
  top_p: shapes.topP,
  reasoning_effort: z.string().max(64).nullish(),
  ...shapes.passedObjects,
  max_tokens: z.int().min(1).nullish(),
  max_completion_tokens: z.int().min(1).nullish(),
  n: z.int().nullish(),
  functions: oldFunctions,
  function_call: oldChoice,
  modalities: z.array(z.string()).nullish(),
  thread_id: key,
  turn_id: key,
  location: z.string().nullish(),
  localtime: z.string().nullish(),
  metadata: z.looseObject({ thread_id: key }).nullish(),
});

/** Checked further below, when it has one form. */
const anything = z.unknown();

/** The fields that have a meaning here. Their values never go on as they came, except those of {@link PASSED_ON}. */
const OWN: ReadonlySet<string> = new Set(Object.keys(body.shape));
const ACTING: readonly string[] = [...OWN, ...PASSED_ON];

/** A request, and the form of its answer. */
export interface ChatRequest {
  readonly turn: ChatTurn;
  readonly model: string;
  /** Null: not given, so the route decides. */
  readonly stream: boolean | null;
  readonly includeUsage: boolean;
  /** Whether calls are answered in the old form, as `function_call`. */
  readonly callsFunctions: boolean;
  /** The sound of its answer; null where that is text alone. */
  readonly speech: AskedSpeech | null;
}

export interface ChatReading {
  /**
   * Whether the route is for devices and voice engines, which speak to a user: their slips are forgiven, an answer without
   * tools serves them too, and nothing that model servers say beside words and calls does.
   */
  readonly isDevice: boolean;
  /** Whether the route's callers send photos as new requests. */
  readonly relaysPhotos: boolean;
  readonly sealed: string | null;
  readonly speech: SpeechDefaults;
}

/** Reads a chat request. @throws {ApiError} 400 for an invalid one. */
export function readChat(call: Call, reading: ChatReading): ChatRequest {
  const { isDevice, relaysPhotos, sealed } = reading;
  const given = validate(body, prepared(call.body(anything), isDevice), false);
  refuseUnsupported(given);
  const speech = speechIn(given, reading.speech);
  const said = toMessages(given.messages, isDevice);
  const messages = [...surroundings(given), ...said.messages];
  const asked = toolsIn(given);
  const metadata = given.metadata ?? {};
  // The model server is asked for text in either case.
  const raw: Readonly<Record<string, unknown>> = speech === null ? given : withoutSpeech(given);
  const pick = (names: readonly string[]): Record<string, unknown> =>
    Object.fromEntries(names.filter((name) => raw[name] != null).map((name) => [name, raw[name]]));
  const thread = given.thread_id ?? metadata['thread_id'] ?? threadIn(call) ?? channelOf(raw, messages);
  const caller = callerIn(call, raw);
  if (thread !== null) requireThreadable(messages, asked);
  else if (said.uncalled !== null) throw uncalled(said.uncalled);
  const turnId = given.turn_id ?? given.messages.at(-1)?.turn_id ?? call.header('idempotency-key') ?? null;
  const turn: ChatTurn = {
    agent: agentName(given.model),
    isSpoken: agentName(given.model) !== given.model,
    messages,
    tools: asked.tools,
    toolsOptional: isDevice,
    settings: settingsIn(given, asked),
    passedOn: passedOn(raw, { isDevice, own: OWN }),
    context: pick(Object.keys(raw).filter((name) => !ACTING.includes(name) || name === 'metadata')),
    sealed,
    caller,
    thread: thread === null ? null : String(thread),
    madeUp: '',
    turnKey: turnId === null ? digestOf(messages) : String(turnId),
    multitask: choice(metadata, 'multitask', ['interrupt', 'reject', 'enqueue', 'rollback', 'steer']),
    onDisconnect: choice(metadata, 'on_disconnect', ['cancel', 'continue']),
    answersCalls: true,
    namedAnswers: said.namedAnswers,
    forgivesChoice: isDevice,
    photoCaller: relaysPhotos ? photoCallerOf(call, given.model, caller) : null,
  };
  return {
    turn,
    model: given.model,
    stream: given.stream ?? null,
    includeUsage: given.stream_options?.include_usage === true,
    callsFunctions: asked.isOld,
    speech,
  };
}

/** A request in the one form that is checked, whatever forms its client uses. */
function prepared(given: unknown, isDevice: boolean): unknown {
  const spread = withExtraBody(given);
  return withSentPictures(withoutUnlimited(isDevice ? withoutSlips(spread) : spread), isDevice);
}

function refuseUnsupported({ n }: z.infer<typeof body>): void {
  if ((n ?? 1) !== 1) throw unsupported("More than one choice ('n' above 1) is", 'n');
}

/** @throws {ApiError} 400 for what a thread cannot hold. */
function requireThreadable(
  messages: readonly ChatMessage[],
  { tools: declared, toolChoice: choice }: AskedTools,
): void {
  const media = messages.flatMap(partsOf).find(isMedia);
  if (media?.type === 'input_audio') throw noSoundKept('messages', TO_A_MODEL_THAT_HEARS);
  if (media !== undefined) throw notInThread(`Content of type '${media.type}'`, 'messages');
  if (needsNoThread(declared, choice)) throw notInThread('A custom tool', 'tools');
}

const TO_A_MODEL_THAT_HEARS =
  "; or leave 'thread_id' out and send the whole conversation to a model that hears";

function notInThread(what: string, param: string): ApiError {
  return unsupported(`${what} in a conversation that is kept here (thread_id) is`, param);
}

/** The answer to a function that no message of the request calls. */
function uncalled(param: string): ApiError {
  const text = `Invalid '${param}': no message before it calls that function. Send the message with its 'function_call' as well.`;
  return new ApiError(400, text, { param, code: 'invalid_value' });
}

function partsOf(message: ChatMessage): readonly ChatPart[] {
  return message.role === 'user' && typeof message.content !== 'string' ? message.content : [];
}

function settingsIn(given: z.infer<typeof body>, asked: AskedTools): ChatSettings {
  return {
    toolChoice: asked.toolChoice,
    parallelToolCalls: asked.parallelToolCalls,
    responseFormat: given.response_format ?? null,
    temperature: given.temperature ?? null,
    topP: given.top_p ?? null,
    reasoningEffort: given.reasoning_effort ?? null,
    maxCompletionTokens: given.max_completion_tokens ?? given.max_tokens ?? null,
  };
}

/**
 * Voice engines name the app, the channel and the speaker; a single message from them continues what was said in that
 * channel before. Null for an engine that sends the conversation itself, and for other clients.
 */
function channelOf(
  given: Readonly<Record<string, unknown>>,
  messages: readonly ChatMessage[],
): string | null {
  const said = messages.filter(({ role }) => role !== 'system');
  if (said.length !== 1 || said[0]?.role !== 'user') return null;
  const context = given['context'];
  const from: Readonly<Record<string, unknown>> =
    typeof context === 'object' && context !== null ? { ...context } : {};
  const ids = [
    from['appId'] ?? given['app_id'],
    from['userId'] ?? given['user_uid'],
    from['channel'] ?? given['channel'],
  ];
  const isId = (id: unknown): boolean => (typeof id === 'string' && id !== '') || typeof id === 'number';
  return ids.every(isId) ? JSON.stringify(['channel', ...ids.map(String)]) : null;
}

const deviceQuery = z.object({ device: z.string().max(MAX_KEY_LENGTH).optional() });

/**
 * The device, named in the address typed into its app or in a header, and the user. Null where the request names neither.
 */
function callerIn(call: Call, given: Readonly<Record<string, unknown>>): ChatTurn['caller'] {
  const device = named(call.query(deviceQuery).device ?? call.header('x-device-id'));
  const user = named(given['user']) ?? named(given['safety_identifier']);
  return device === null && user === null ? null : { user, device };
}

/**
 * Only its owner knows a caller's own key; any other key is shared, or is not checked. A user or a key may have several
 * devices, and an app may send the same user for all of them, so another address counts as another device. A device
 * with a name is recognized by the name instead, because makers' clouds call from several addresses.
 */
function photoCallerOf(call: Call, model: string, caller: ChatTurn['caller']): string | null {
  if (caller === null && call.upstreamKey === null) return null;
  const { user, device } = caller ?? { user: null, device: null };
  const place = call.address === null ? [] : [{ address: call.address }];
  return JSON.stringify([call.key, model, user, ...(device === null ? place : [device])]);
}

/** The name of a user or device, fit to be part of a key in Redis; null for an empty name or another type. */
function named(value: unknown): string | null {
  if (typeof value !== 'string' || value.trim() === '') return null;
  return value.length <= MAX_KEY_LENGTH ? value : hash('sha256', value, 'hex');
}

/** The thread that the header names; null where the header is missing or empty. */
function threadIn(call: Call): string | null {
  const name = call.header('x-thread-id')?.trim() ?? '';
  if (name.length <= MAX_KEY_LENGTH) return name === '' ? null : name;
  const text = `The header X-Thread-Id is longer than ${MAX_KEY_LENGTH} characters.`;
  throw new ApiError(400, text, { param: 'X-Thread-Id', code: 'string_above_max_length' });
}

/** The device's place and local time, for the model. */
function surroundings({ location, localtime }: z.infer<typeof body>): readonly ChatMessage[] {
  const facts = [
    ...(location ? [`The user is at: ${location}.`] : []),
    ...(localtime ? [`The user's local time is: ${localtime}.`] : []),
  ];
  return facts.length === 0 ? [] : [{ role: 'system', content: facts.join(' ') }];
}

/** `<name>`: how a device selects an agent by the name that its user speaks. */
function agentName(model: string): string {
  return /^<(.+)>$/.exec(model)?.[1] ?? model;
}

function digestOf(messages: readonly ChatMessage[]): string {
  const last = lastUserMessage(messages);
  return hash('sha256', `${textIn(last)}\n${pictureIn(last) ?? ''}`, 'base64url');
}

/** A choice from metadata; the first is the default. */
function choice<T extends string>(
  metadata: Readonly<Record<string, unknown>>,
  name: string,
  choices: readonly [T, ...T[]],
): T {
  const given = metadata[name];
  if (given === undefined) return choices[0];
  const found = choices.find((candidate) => candidate === given);
  if (found !== undefined) return found;
  const list = choices.map((candidate) => `'${candidate}'`).join(', ');
  const text = `Invalid value: ${echo(JSON.stringify(given))}. Supported values of 'metadata.${name}' are: ${list}.`;
  throw new ApiError(400, text, { param: `metadata.${name}`, code: 'invalid_value' });
}
