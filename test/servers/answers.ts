/** Checks of what a server answers: polled, streamed, limited, with tools, held to a schema, and beyond its context. */
import { z } from 'zod';
import { expectEnded, NotPossible, type Run, type Said, type Scene } from './scene.ts';

const STORY = 'Tell me a very long story about a fox and a river.';
const FEW_TOKENS = 8;
/** Some servers count the end as well, and a fragment may hold a part of a character. */
const SPARE_TOKENS = 2;
/** A small model does by chance what a larger one does by itself. */
const TRIES = 4;
const TOOL_TOKENS = 100;
const SCHEMA_TOKENS = 120;
const SHORT_TOKENS = 12;
/** A part of the default of APOLOGY. */
const APOLOGY = 'Sorry, please try again later';
const MAX_ROUNDS = 4;

const PARCEL = {
  type: 'function',
  function: {
    name: 'parcel',
    description: 'Tells where a parcel is.',
    parameters: {
      type: 'object',
      properties: { number: { type: 'string', enum: ['AB12'] } },
      required: ['number'],
      additionalProperties: false,
    },
  },
} as const;

const CITY = {
  type: 'json_schema',
  json_schema: {
    name: 'city',
    schema: {
      type: 'object',
      properties: {
        name: { type: 'string', enum: ['Paris', 'Rome'] },
        capital: { type: 'boolean' },
      },
      required: ['name', 'capital'],
      additionalProperties: false,
    },
  },
} as const;
const citySchema = z.strictObject({ name: z.enum(['Paris', 'Rome']), capital: z.boolean() });

const answerSchema = z.object({
  choices: z.tuple([z.object({ message: z.object({ content: z.string() }), finish_reason: z.string() })]),
  usage: z.object({ completion_tokens: z.number() }),
});

/** Sentences of a text in another language are of the same length in tokens, roughly, for this model. */
const FILLING = {
  English: 'The quick brown fox jumps over the lazy dog and runs along the river to the old stone bridge. ',
  Chinese: '一只敏捷的棕色狐狸跳过懒狗，沿着河流跑到古老的石桥。',
} as const;
/** Tokens of one such sentence, as the model of the checks counts them. */
const FILLING_TOKENS = { English: 21, Chinese: 62 } as const;
const PART_SENTENCES = 4;
/** How much more than the context is said. */
const OVERFLOW = 1.6;

export async function polling(scene: Scene): Promise<string> {
  const run = await scene.answers(await scene.thread(['user', 'Say hello.']));
  const used = run.usage?.completion_tokens ?? 0;
  if (used === 0) throw new Error('the answer has no usage');
  return '';
}

export async function streaming(scene: Scene): Promise<string> {
  const threadId = await scene.thread(['user', 'Say hello.']);
  const assistant_id = await scene.assistant();
  const stream = scene.runs.stream(threadId, { assistant_id, max_completion_tokens: 12 });
  let text = '';
  let deltas = 0;
  stream.on('textDelta', ({ value }) => {
    text += value ?? '';
    deltas += 1;
  });
  const run = await stream.finalRun();
  expectEnded(run);
  const whole = await scene.textOf(run);
  if (deltas < 2) throw new Error(`only ${deltas} deltas came`);
  if (text !== whole) throw new Error('the deltas do not add up to the message');
  if ((run.usage?.completion_tokens ?? 0) === 0) throw new Error('the stream has no usage');
  return '';
}

/** Over both APIs, because clients of both name this figure differently. */
export async function maxTokens(scene: Scene): Promise<string> {
  const most = FEW_TOKENS + SPARE_TOKENS;
  const hangUp = new AbortController();
  const messages = [{ role: 'user', content: STORY }];
  const signal = AbortSignal.any([hangUp.signal, scene.signal]);
  const body = { messages, max_tokens: FEW_TOKENS, stream: true };
  const response = await scene.chat(body, { signal });
  let text = '';
  for await (const part of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += part;
    const fragments = text.split('"content":"').length - 1;
    if (fragments <= 2 * most) continue;
    // A server that takes no notice would go on for minutes.
    hangUp.abort();
    throw new Error(`a chat with max_tokens ${FEW_TOKENS} got ${fragments} fragments, and was given up`);
  }
  if (!text.includes('"finish_reason":"length"')) throw new Error('the chat did not end by its length');
  const run = await scene.poll(await scene.thread(['user', STORY]), { max_completion_tokens: FEW_TOKENS });
  const used = run.usage?.completion_tokens ?? 0;
  if (used > most) throw new Error(`a run with max_completion_tokens ${FEW_TOKENS} got ${used}`);
  if (run.status !== 'incomplete') throw new Error(`the run is ${run.status} after ${used} tokens`);
  return '';
}

/** A model of this size makes a call by itself when it has some to copy; where it is forced to, it talks less before. */
function examplesOf(name: string, args: string, question: string): Said {
  const call = `<tool_call>\n{"name": "${name}", "arguments": ${args}}\n</tool_call>`;
  const one: Said = [
    ['user', question],
    ['assistant', call],
  ];
  return [...one, ...one, ...one, ['user', question]];
}

export async function clientTools(scene: Scene): Promise<string> {
  let run = await called(scene, 'parcel', '{"number": "AB12"}', 'Where is parcel AB12?', {
    tools: [PARCEL],
  });
  let rounds = 0;
  for (; run.status === 'requires_action' && rounds < MAX_ROUNDS; rounds += 1) {
    const calls = run.required_action?.submit_tool_outputs.tool_calls ?? [];
    // Not every server holds arguments to the tool's schema, but what is no JSON would be our fault.
    for (const call of calls) z.looseObject({}).parse(JSON.parse(call.function.arguments));
    const tool_outputs = calls.map(({ id }) => ({ tool_call_id: id, output: 'It is in Paris.' }));
    run = await scene.runs.submitToolOutputsAndPoll(run.id, { thread_id: run.thread_id, tool_outputs });
  }
  if (run.status !== 'requires_action') expectEnded(run);
  return madeBy(scene);
}

export async function serverTools(scene: Scene): Promise<string> {
  const run = await called(scene, 'clock', '{"timezone": "UTC"}', 'What time is it?', {
    tools: [{ type: 'function', function: { name: 'clock' } }],
    metadata: { auto_tools: 'clock' },
  });
  expectEnded(run);
  return madeBy(scene);
}

/** A run that has called `name`, after some tries. @throws NotPossible when the model just will not. */
async function called(
  scene: Scene,
  name: string,
  args: string,
  question: string,
  params: NonNullable<Parameters<Scene['poll']>[1]>,
): Promise<Run> {
  const { noTools } = scene.target;
  const said = examplesOf(name, args, question);
  for (let tries = 0; tries < TRIES; tries += 1) {
    const run = await scene.poll(await scene.thread(...said), {
      ...params,
      tool_choice: noTools === null ? 'required' : 'auto',
      max_completion_tokens: TOOL_TOKENS,
    });
    // A server without tools may be asked without them, or say so; it is not asked to have some.
    if (run.status === 'failed' && noTools !== null)
      throw new NotPossible(`${noTools}; ${run.last_error?.message}`);
    // A model that small sometimes says nothing at all.
    if (/without a word or a call/.test(run.last_error?.message ?? '')) continue;
    if (run.status === 'failed') expectEnded(run);
    const { data } = await scene.runs.steps.list(run.id, { thread_id: run.thread_id });
    if (data.some(({ type }) => type === 'tool_calls')) return run;
    if (noTools !== null) break;
  }
  throw new NotPossible(
    noTools ?? `the small model made no call in ${TRIES} tries, and the server does not force one`,
  );
}

const madeBy = ({ target: { callsBy } }: Scene): string =>
  callsBy === 'nothing' ? 'the model copied its call from examples' : `call by ${callsBy}`;

/** Glasses bring a camera as a tool with every question, and speak what they get, apologies included. */
export async function glasses(scene: Scene): Promise<string> {
  const name = `host${scene.running.front.port}`;
  await scene.client.beta.assistants.create({ name, model: scene.running.model });
  const camera = { name: 'take_a_photo', description: 'Takes a photo.', parameters: {} };
  const body = {
    model: `<${name}>`,
    messages: [{ role: 'user', content: 'Say hello.' }],
    tools: [{ type: 'function', function: camera }],
    stream: true,
    max_tokens: SHORT_TOKENS,
  };
  const text = await (await scene.chat(body, { path: '/custom_agent/chat?device=mine' })).text();
  if (text.includes(APOLOGY)) throw new Error('the glasses are told an apology');
  if (!/"content":"[^"]|"tool_calls"/.test(text))
    throw new Error(`the glasses get neither words nor a call: ${text}`);
  return '';
}

export async function jsonSchema(scene: Scene): Promise<string> {
  if (scene.target.noSchema !== null) throw new NotPossible(scene.target.noSchema);
  const question = 'Name a city, as JSON.';
  for (let tries = 1; ; tries += 1) {
    const run = await scene.answers(await scene.thread(['user', question]), {
      response_format: CITY,
      max_completion_tokens: SCHEMA_TOKENS,
    });
    const messages = [{ role: 'user', content: question }];
    const body = { messages, response_format: CITY, max_tokens: SCHEMA_TOKENS };
    const { choices } = answerSchema.parse(await (await scene.chat(body)).json());
    // Where the schema leaves blanks free, such a model may write nothing else.
    const isCut = run.status === 'incomplete' || choices[0].finish_reason === 'length';
    if (isCut && tries < TRIES) continue;
    if (isCut) throw new Error(`the answer was not complete after ${SCHEMA_TOKENS} tokens`);
    citySchema.parse(JSON.parse(await scene.textOf(run)));
    citySchema.parse(JSON.parse(choices[0].message.content));
    return '';
  }
}

/** A thread longer than the server's context is cut by Longrun, not refused by the server, nor cut by it unseen. */
export const overflow =
  (language: keyof typeof FILLING) =>
  async (scene: Scene): Promise<string> => {
    const wanted = scene.target.contextTokens * OVERFLOW;
    const parts = Math.ceil(wanted / (FILLING_TOKENS[language] * PART_SENTENCES));
    const said = Array.from(
      { length: parts },
      (_, index) =>
        [index % 2 === 0 ? 'user' : 'assistant', FILLING[language].repeat(PART_SENTENCES)] as const,
    );
    scene.running.quietFault();
    await scene.answers(await scene.thread(...said, ['user', 'Say hello.']));
    const fault = scene.running.quietFault();
    if (fault !== null) throw new Error(`the server cut the prompt itself: ${fault}`);
    return '';
  };
