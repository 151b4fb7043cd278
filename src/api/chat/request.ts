/**
 * Reads chat requests of all kinds of clients into turns. Strict where OpenAI is strict, lenient where devices deviate:
 * their image parts, their extra keys, their ids as numbers.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { ApiError, echo, unsupported } from '../../errors.ts';
import { callAsides, messageAsides, withAsides } from '../../runs/asides.ts';
import type { ChatCall, ChatMessage, ChatPart } from '../../runs/model.ts';
import { sentThoughts } from '../../runs/thoughts.ts';
import type { Call } from '../http/call.ts';
import * as shapes from '../http/shapes.ts';
import { withoutHoles } from './history.ts';
import { lastUserMessage, pictureIn, textIn, type ChatSettings, type ChatTurn } from '../../turns/turn.ts';

const MAX_MESSAGES = 10_000;
const MAX_KEY_LENGTH = 256;
const key = z.union([z.string().min(1).max(MAX_KEY_LENGTH), z.int()]).nullish();

const textPart = z.looseObject({ type: z.literal('text'), text: z.string() });
/** OpenAI's shape; the URL as a plain string; and an engine's `image` part. */
const imagePart = z.looseObject({
  type: z.enum(['image_url', 'image']),
  image_url: z.union([z.looseObject({ url: shapes.imageUrl, detail: shapes.imageDetail }), shapes.imageUrl]),
});
/** A part of an assistant's message that a client sends back. */
const refusalPart = z.looseObject({ type: z.literal('refusal'), refusal: z.string() });
const audioPart = z.looseObject({ type: z.enum(['input_audio', 'audio', 'file', 'video_url']) });
const part = z.union([textPart, imagePart, refusalPart, audioPart]);
const content = z.union([z.string(), z.array(part).max(1_000)]);

const callArguments = z.union([z.string(), z.record(z.string(), z.unknown())]).nullish();
/** Glasses name the arguments `parameters`. */
const toolCall = z.looseObject({
  // Some servers send calls without ids, and clients send them back so.
  id: z.string().nullish(),
  function: z.looseObject({
    name: z.string().min(1),
    arguments: callArguments,
    parameters: callArguments,
  }),
});

const message = z.looseObject({
  role: z.enum(['system', 'developer', 'user', 'assistant', 'tool']),
  content: content.nullish(),
  refusal: z.string().nullish(),
  tool_calls: z.array(toolCall).max(128).nullish(),
  tool_call_id: z.string().nullish(),
  // Any value is accepted, but only a text goes to the model.
  reasoning_content: z.unknown().optional(),
  reasoning: z.unknown().optional(),
  turn_id: key,
});

/** Fields that have an effect here. All others go to the upstream ({@link PASSED_ON}) or to the tools. */
const body = z.looseObject({
  model: z.string().min(1).max(256),
  messages: z.array(message).min(1).max(MAX_MESSAGES),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  tools: z.preprocess(withoutExtras, shapes.chatTools.nullish()).optional(),
  tool_choice: shapes.toolChoice,
  parallel_tool_calls: z.boolean().nullish(),
  response_format: shapes.passedFormat,
  temperature: shapes.temperature,
  top_p: shapes.topP,
  reasoning_effort: z.string().max(64).nullish(),
  ...shapes.passedObjects,
  max_tokens: z.int().min(1).nullish(),
  max_completion_tokens: z.int().min(1).nullish(),
  n: z.int().nullish(),
  functions: z.unknown().optional(),
  modalities: z.array(z.string()).nullish(),
  thread_id: key,
  turn_id: key,
  location: z.string().nullish(),
  localtime: z.string().nullish(),
  metadata: z.looseObject({ thread_id: key }).nullish(),
});

const functionKeys = ['name', 'description', 'parameters', 'strict'];

/** Tools without the fields that callers add for their caches or user interfaces: upstreams would refuse those. */
function withoutExtras(given: unknown): unknown {
  if (!Array.isArray(given)) return given;
  return given.map((tool: unknown) => {
    const called: unknown = field(tool, 'function');
    if (field(tool, 'type') !== 'function' || typeof called !== 'object' || called === null) return tool;
    const kept = Object.entries(called).filter(([name]) => functionKeys.includes(name));
    return { type: 'function', function: Object.fromEntries(kept) };
  });
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}

/**
 * OpenAI's parameters that only the model server understands, and those that a run's request leaves out when they are 1.
 */
const PASSED_ON = [
  'temperature',
  'top_p',
  'stop',
  'seed',
  'logprobs',
  'top_logprobs',
  'logit_bias',
  'frequency_penalty',
  'presence_penalty',
  'prediction',
  'service_tier',
  'verbosity',
  'web_search_options',
  'user',
  'store',
  'prompt_cache_key',
  'prompt_cache_options',
  'prompt_cache_retention',
  'safety_identifier',
  'moderation',
  'modalities',
] as const;

const ACTING: readonly string[] = [...Object.keys(body.shape), ...PASSED_ON];

/** A request, and the form of its answer. */
export interface ChatRequest {
  readonly turn: ChatTurn;
  readonly model: string;
  /** Null: not given, so the route decides. */
  readonly stream: boolean | null;
  readonly includeUsage: boolean;
}

export interface ChatReading {
  /** Whether the route's callers send photos as new requests. */
  readonly relaysPhotos: boolean;
  /** Whether they speak to a user: an answer without tools serves them too, and nothing beside words and calls does. */
  readonly speaks: boolean;
  readonly sealed: string | null;
}

/** Reads a chat request. @throws {ApiError} 400 for an invalid one. */
export function readChat(call: Call, { relaysPhotos, speaks, sealed }: ChatReading): ChatRequest {
  const given = call.body(body);
  refuseUnsupported(given);
  const messages = [
    ...surroundings(given),
    ...withoutHoles(given.messages).map((one, index) => toMessage(one, index, !speaks)),
  ];
  const metadata = given.metadata ?? {};
  const raw: Readonly<Record<string, unknown>> = given;
  const pick = (names: readonly string[]): Record<string, unknown> =>
    Object.fromEntries(names.filter((name) => raw[name] != null).map((name) => [name, raw[name]]));
  const thread = given.thread_id ?? metadata['thread_id'] ?? threadIn(call) ?? channelOf(raw, messages);
  const caller = callerIn(call, raw);
  const turnId = given.turn_id ?? given.messages.at(-1)?.turn_id ?? call.header('idempotency-key') ?? null;
  const turn: ChatTurn = {
    agent: agentName(given.model),
    isSpoken: agentName(given.model) !== given.model,
    messages,
    tools: given.tools ?? [],
    toolsOptional: speaks,
    settings: settingsIn(given),
    passedOn: pick(PASSED_ON),
    context: pick(Object.keys(given).filter((name) => !ACTING.includes(name) || name === 'metadata')),
    sealed,
    caller,
    thread: thread === null ? null : String(thread),
    madeUp: '',
    turnKey: turnId === null ? digestOf(messages) : String(turnId),
    multitask: choice(metadata, 'multitask', ['interrupt', 'reject', 'enqueue', 'rollback']),
    onDisconnect: choice(metadata, 'on_disconnect', ['cancel', 'continue']),
    answersCalls: true,
    photoCaller: relaysPhotos ? photoCallerOf(call, given.model, caller) : null,
  };
  return {
    turn,
    model: given.model,
    stream: given.stream ?? null,
    includeUsage: given.stream_options?.include_usage === true,
  };
}

function refuseUnsupported({ n, functions, modalities }: z.infer<typeof body>): void {
  if ((n ?? 1) !== 1) throw unsupported("More than one choice ('n' above 1) is", 'n');
  if (functions != null) throw unsupported("'functions' (use 'tools' instead) is", 'functions');
  if (modalities?.includes('audio') === true) throw unsupported('Audio is', 'modalities');
}

function settingsIn(given: z.infer<typeof body>): ChatSettings {
  return {
    toolChoice: given.tool_choice,
    parallelToolCalls: given.parallel_tool_calls ?? null,
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
  return value.length <= MAX_KEY_LENGTH ? value : createHash('sha256').update(value).digest('hex');
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

function toMessage(given: z.infer<typeof message>, index: number, takesAsides: boolean): ChatMessage {
  const param = `messages[${index}]`;
  switch (given.role) {
    case 'system':
    case 'developer':
      return { role: 'system', content: plainText(given.content, `${param}.content`) };
    case 'user':
      return { role: 'user', content: userContent(given.content, `${param}.content`) };
    case 'assistant': {
      const calls = (given.tool_calls ?? []).map((call) =>
        takesAsides ? withAsides(toCall(call), callAsides(call)) : toCall(call),
      );
      const asides = takesAsides ? messageAsides(given) : {};
      // Clients send answers back as they got them. A refusal is an answer as well, and has no content.
      const answer = given.content ?? given.refusal;
      if (calls.length === 0)
        return { ...asides, role: 'assistant', content: plainText(answer, `${param}.content`) };
      const said = answer == null ? '' : plainText(answer, `${param}.content`);
      const content = said === '' ? null : said;
      // Model servers want thoughts back while tools are at work. Beside words they ignore or refuse them.
      return { ...asides, role: 'assistant', content, tool_calls: calls, ...sentThoughts(given) };
    }
    case 'tool': {
      if (given.tool_call_id == null) throw missing(`${param}.tool_call_id`);
      const output = given.content == null ? '' : toolText(given.content);
      return { role: 'tool', tool_call_id: given.tool_call_id, content: output };
    }
  }
}

type Content = z.infer<typeof content> | null | undefined;

function userContent(given: Content, param: string): string | readonly ChatPart[] {
  if (given == null) throw missing(param);
  if (typeof given === 'string') return given;
  const parts = given.flatMap((part) => toPart(part, param));
  if (parts.length === 0 && given.length === 0) throw missing(param);
  return parts.some((part) => part.type === 'image_url') ? parts : parts.map(partText).join('\n');
}

function toPart(
  part: Exclude<Content, string | null | undefined>[number],
  param: string,
): readonly ChatPart[] {
  switch (part.type) {
    case 'text':
      // Devices put an empty text beside a photo, and several upstreams refuse it.
      return part.text === '' ? [] : [{ type: 'text', text: part.text }];
    case 'refusal':
      return [{ type: 'text', text: part.refusal }];
    case 'image_url':
    case 'image': {
      const { image_url: image } = part;
      const url = typeof image === 'string' ? image : image.url;
      const detail = typeof image === 'string' ? 'auto' : (image.detail ?? 'auto');
      return [{ type: 'image_url', image_url: { url, detail } }];
    }
    case 'input_audio':
    case 'audio':
    case 'file':
    case 'video_url':
      throw unsupported(`Content of type '${part.type}' is`, param);
  }
}

const partText = (part: ChatPart): string => (part.type === 'text' ? part.text : '');

function plainText(given: Content, param: string): string {
  if (given == null) throw missing(param);
  return typeof given === 'string'
    ? given
    : given
        .flatMap((part) => toPart(part, param))
        .map(partText)
        .join('\n');
}

/** A tool's answer may hold pictures as image parts. It is then stored as its parts, which prompts can show. */
function toolText(given: Exclude<Content, null | undefined>): string {
  if (typeof given === 'string') return given;
  const parts = given.flatMap((part) => toPart(part, 'messages'));
  const hasPicture = parts.some((part) => part.type === 'image_url');
  if (!hasPicture) return parts.map(partText).join('\n');
  // Workers of earlier versions can read a single picture, but not a list.
  return JSON.stringify(parts.length === 1 ? parts[0] : parts);
}

function toCall({ id, function: called }: z.infer<typeof toolCall>): ChatCall {
  const { name, arguments: given, parameters } = called;
  const args = given || parameters;
  const text = typeof args === 'string' ? args : JSON.stringify(args ?? {});
  return { id: id ?? '', type: 'function', function: { name, arguments: text === '' ? '{}' : text } };
}

/** `<name>`: how a device selects an agent by the name that its user speaks. */
function agentName(model: string): string {
  return /^<(.+)>$/.exec(model)?.[1] ?? model;
}

function digestOf(messages: readonly ChatMessage[]): string {
  const last = lastUserMessage(messages);
  return createHash('sha256')
    .update(`${textIn(last)}\n${pictureIn(last) ?? ''}`)
    .digest('base64url');
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

function missing(param: string): ApiError {
  return new ApiError(400, `Missing required parameter: '${param}'.`, {
    param,
    code: 'missing_required_parameter',
  });
}
