/**
 * The helpers for files, stores and hosted tools of the official Node SDKs, of four major versions and as they are: upload and poll,
 * attach, listen to what is called, and read citations as OpenAI's cookbook does.
 */
import * as OpenAI4 from 'openai-v4';
import * as OpenAI5 from 'openai-v5';
import * as OpenAI6 from 'openai-v6';
import * as OpenAI7 from 'openai';
import { describe, expect, test, vi } from 'vitest';
import { options as sandboxOptions } from '../sandbox/options.ts';
import { hasBubblewrap } from '../sandbox/sandbox.ts';
import { calls, says } from '../support/upstream.ts';
import { withSharedService } from '../support/shared-service.ts';

// Where the packages are not there yet, they are set up, which takes a minute or two.
vi.setConfig({ testTimeout: 400_000 });

const canRun = await hasBubblewrap();
const { upstream, service } = withSharedService({
  CODE_FOLDER: sandboxOptions().codeFolder,
  POLL_AFTER_MS: '20',
});

const CODE = 'print(6 * 7)';
const TEXTS = {
  'foods.md': 'People in Naples like pizza with basil.',
  'ships.md': 'The Vasa sank in 1628.',
  'birds.txt': 'Swifts sleep while they fly.',
} as const;
type Name = keyof typeof TEXTS;
const bytesOf = (name: Name) => Buffer.from(TEXTS[name]);

/** What a program hears while a run streams. */
interface Heard {
  readonly created: string[];
  readonly done: string[];
  code: string;
  logs: string;
  text: string;
  citations: string[];
}

/** What happens to a call, in the words of every version. */
interface CallDelta {
  readonly type?: string;
  readonly code_interpreter?: {
    readonly input?: string;
    readonly outputs?: readonly { readonly type: string; readonly logs?: string }[];
  };
}

/** A message as the cookbook reads it. */
interface CitedText {
  value: string;
  readonly annotations: readonly {
    readonly text: string;
    readonly type: string;
    readonly file_citation?: { readonly file_id: string };
  }[];
}

/** What a program does with files, by one version of the SDK. */
interface Helpers {
  /** Uploads a file, and another one and polls, and two in a batch and polls; how many were read. */
  fill(): Promise<{ readonly store: string; readonly statuses: readonly string[]; readonly read: number }>;
  /** A thread with a file attached for a tool; the stores and files that it has. */
  attach(
    name: Name,
    tool: 'file_search' | 'code_interpreter',
    content: string,
  ): Promise<{ readonly id: string; readonly resources: number }>;
  /** An assistant with the tool, and with the store where there is one. */
  assistant(tool: 'file_search' | 'code_interpreter', store: string | null): Promise<string>;
  stream(threadId: string, assistantId: string): Promise<Heard>;
}

const options = () => ({ baseURL: service.baseUrl, apiKey: 'any', maxRetries: 0 });
const nothing = (): Heard => ({ created: [], done: [], code: '', logs: '', text: '', citations: [] });

function hearDelta(heard: Heard, { code_interpreter: code }: CallDelta): void {
  heard.code += code?.input ?? '';
  for (const output of code?.outputs ?? []) heard.logs += output.logs ?? '';
}

/** OpenAI's cookbook, "File search": marks become numbers, and each number names its file. */
async function cite(heard: Heard, text: CitedText, nameOf: (id: string) => Promise<string>): Promise<void> {
  for (const [index, annotation] of text.annotations.entries()) {
    text.value = text.value.replace(annotation.text, `[${index}]`);
    if (annotation.file_citation !== undefined)
      heard.citations.push(`[${index}] ${await nameOf(annotation.file_citation.file_id)}`);
  }
  heard.citations.unshift(text.value);
}

function modern(
  openai: OpenAI5.OpenAI | OpenAI6.OpenAI | OpenAI7.OpenAI,
  toFile: (bytes: Buffer, name: string) => Promise<File>,
): Helpers {
  const fileOf = async (name: Name): Promise<File> => toFile(bytesOf(name), name);
  const create = async (name: Name) =>
    openai.files.create({ file: await fileOf(name), purpose: 'assistants' });
  return {
    fill: async () => {
      const { id } = await openai.vectorStores.create({ name: 'library' });
      const one = await openai.vectorStores.files.uploadAndPoll(id, await fileOf('foods.md'));
      const files = await Promise.all([fileOf('ships.md'), fileOf('birds.txt')]);
      const both = await openai.vectorStores.fileBatches.uploadAndPoll(id, { files });
      const { file_counts } = await openai.vectorStores.retrieve(id);
      return { store: id, statuses: [one.status, both.status], read: file_counts.completed };
    },
    attach: async (name, type, content) => {
      const { id: file_id } = await create(name);
      const { id, tool_resources } = await openai.beta.threads.create({
        messages: [{ role: 'user', content, attachments: [{ file_id, tools: [{ type }] }] }],
      });
      const stores = tool_resources?.file_search?.vector_store_ids ?? [];
      return { id, resources: stores.length + (tool_resources?.code_interpreter?.file_ids ?? []).length };
    },
    assistant: async (type, store) => {
      const file_search = { vector_store_ids: store === null ? [] : [store] };
      const body = {
        model: 'm',
        tools: [{ type }],
        ...(store !== null && { tool_resources: { file_search } }),
      };
      return (await openai.beta.assistants.create(body)).id;
    },
    stream: async (threadId, assistantId) => {
      const heard = nothing();
      const stream = openai.beta.threads.runs.stream(threadId, { assistant_id: assistantId });
      stream.on('toolCallCreated', (call) => heard.created.push(call.type));
      stream.on('toolCallDelta', (delta) => hearDelta(heard, delta));
      stream.on('toolCallDone', (call) => heard.done.push(call.type));
      stream.on('textDelta', ({ value = '' }) => (heard.text += value));
      const [message] = await stream.finalMessages();
      const text = message?.content.find((part) => part.type === 'text')?.text;
      const nameOf = async (id: string): Promise<string> => (await openai.files.retrieve(id)).filename;
      if (text !== undefined) await cite(heard, text, nameOf);
      return heard;
    },
  };
}

/** Version 4, whose types are its own; every call is the same. */
function legacy(): Helpers {
  const openai = new OpenAI4.OpenAI(options());
  const fileOf = async (name: Name) => OpenAI4.toFile(bytesOf(name), name);
  const create = async (name: Name) =>
    openai.files.create({ file: await fileOf(name), purpose: 'assistants' });
  return {
    fill: async () => {
      const { id } = await openai.vectorStores.create({ name: 'library' });
      const one = await openai.vectorStores.files.uploadAndPoll(id, await fileOf('foods.md'));
      const files = await Promise.all([fileOf('ships.md'), fileOf('birds.txt')]);
      const both = await openai.vectorStores.fileBatches.uploadAndPoll(id, { files });
      const { file_counts } = await openai.vectorStores.retrieve(id);
      return { store: id, statuses: [one.status, both.status], read: file_counts.completed };
    },
    attach: async (name, type, content) => {
      const { id: file_id } = await create(name);
      const { id, tool_resources } = await openai.beta.threads.create({
        messages: [{ role: 'user', content, attachments: [{ file_id, tools: [{ type }] }] }],
      });
      const stores = tool_resources?.file_search?.vector_store_ids ?? [];
      return { id, resources: stores.length + (tool_resources?.code_interpreter?.file_ids ?? []).length };
    },
    assistant: async (type, store) => {
      const file_search = { vector_store_ids: store === null ? [] : [store] };
      const body = {
        model: 'm',
        tools: [{ type }],
        ...(store !== null && { tool_resources: { file_search } }),
      };
      return (await openai.beta.assistants.create(body)).id;
    },
    stream: async (threadId, assistantId) => {
      const heard = nothing();
      const stream = openai.beta.threads.runs.stream(threadId, { assistant_id: assistantId });
      stream.on('toolCallCreated', (call) => heard.created.push(call.type));
      stream.on('toolCallDelta', (delta) => hearDelta(heard, delta));
      stream.on('toolCallDone', (call) => heard.done.push(call.type));
      stream.on('textDelta', ({ value = '' }) => (heard.text += value));
      const [message] = await stream.finalMessages();
      const text = message?.content.find((part) => part.type === 'text')?.text;
      const nameOf = async (id: string): Promise<string> => (await openai.files.retrieve(id)).filename;
      if (text !== undefined) await cite(heard, text, nameOf);
      return heard;
    },
  };
}

const SDKS: readonly [name: string, helpers: () => Helpers][] = [
  ['openai 7', () => modern(new OpenAI7.OpenAI(options()), OpenAI7.toFile)],
  ['openai 6', () => modern(new OpenAI6.OpenAI(options()), OpenAI6.toFile)],
  ['openai 5', () => modern(new OpenAI5.OpenAI(options()), OpenAI5.toFile)],
  ['openai 4', legacy],
];

describe.each(SDKS)('%s', (_name, helpers) => {
  /** Calls the tool once, and answers with a mark. */
  function callsOnce(name: string, args: object, answer: string): void {
    upstream.reply(({ outputs }) => (outputs.length > 0 ? says(answer) : calls([{ name, arguments: args }])));
  }

  test('fills a store, hears a search, and reads what the answer cites', async () => {
    const sdk = helpers();
    const { store, statuses, read } = await sdk.fill();
    expect({ statuses, read }).toEqual({ statuses: ['completed', 'completed'], read: 3 });
    const assistant = await sdk.assistant('file_search', store);
    const { id, resources } = await sdk.attach('birds.txt', 'file_search', 'What do they like in Naples?');
    expect(resources).toBe(1);
    callsOnce('file_search', { queries: ['Naples'] }, 'Pizza【1:0†foods.md】.');
    expect(await sdk.stream(id, assistant)).toEqual({
      created: ['file_search'],
      done: ['file_search'],
      code: '',
      logs: '',
      text: 'Pizza【1:0†foods.md】.',
      citations: ['Pizza[0].', '[0] foods.md'],
    });
  });

  test.skipIf(!canRun)('hears code while it is written, and what it prints', async () => {
    const sdk = helpers();
    const assistant = await sdk.assistant('code_interpreter', null);
    const { id, resources } = await sdk.attach('ships.md', 'code_interpreter', 'What is six times seven?');
    expect(resources).toBe(1);
    callsOnce('code_interpreter', { code: CODE }, 'It is 42.');
    expect(await sdk.stream(id, assistant)).toEqual({
      created: ['code_interpreter'],
      done: ['code_interpreter'],
      code: CODE,
      logs: '42\n',
      text: 'It is 42.',
      citations: ['It is 42.'],
    });
  });
});
