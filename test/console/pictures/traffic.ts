/** What a service has to do on a usual day, in little: runs of assistants, chats, a tool, a failure now and then. */
import OpenAI from 'openai';
import type { Language } from './scenes.ts';

const QUESTIONS: Readonly<Record<Language, readonly string[]>> = {
  en: [
    'What time is it in Tokyo?',
    'What can you do?',
    'Which tea do you recommend?',
    'What time is it in Lisbon?',
  ],
  zh: ['东京现在几点？', '你会做什么？', '你推荐什么茶？', '里斯本现在几点？'],
};
const NAMES: Readonly<Record<Language, readonly string[]>> = {
  en: ['Host', 'Travel desk'],
  zh: ['茶馆助手', '旅行顾问'],
};
/** Runs that are there before the first picture. */
const FIRST_RUNS = 14;

export class Traffic {
  readonly #openai: OpenAI;
  readonly #language: Language;
  readonly #over = new AbortController();
  #going: Promise<void> = Promise.resolve();

  constructor(baseURL: string, language: Language) {
    this.#openai = new OpenAI({ baseURL, apiKey: 'none' });
    this.#language = language;
  }

  /** Makes the first runs, and goes on with chats. @returns where a run with a tool can be seen */
  async begin(): Promise<{ readonly threadId: string; readonly runId: string }> {
    const { assistants } = this.#openai.beta;
    const ids = await Promise.all(
      NAMES[this.#language].map(async (name) => {
        const tools = [{ type: 'function' as const, function: { name: 'clock' } }];
        const metadata = { auto_tools: 'true' };
        return (await assistants.create({ name, model: 'demo', tools, metadata })).id;
      }),
    );
    this.#going = this.#chats();
    let withTool = { threadId: '', runId: '' };
    for (let number = 0; number < FIRST_RUNS; number += 1) {
      const ran = await this.#run(ids[number % ids.length] ?? '', this.#question(number));
      if (number === 0) withTool = ran;
    }
    return withTool;
  }

  async end(): Promise<void> {
    this.#over.abort();
    await this.#going;
  }

  #question(number: number): string {
    const questions = QUESTIONS[this.#language];
    return questions[number % questions.length] ?? '';
  }

  async #run(assistantId: string, content: string) {
    const { threads } = this.#openai.beta;
    const thread = await threads.create({ messages: [{ role: 'user', content }] });
    const run = await threads.runs.createAndPoll(
      thread.id,
      { assistant_id: assistantId },
      { pollIntervalMs: 300 },
    );
    return { threadId: thread.id, runId: run.id };
  }

  async #chats(): Promise<void> {
    for (let number = 0; !this.#over.signal.aborted; number += 1) {
      const messages = [{ role: 'user' as const, content: this.#question(number) }];
      const stream = await this.#openai.chat.completions.create({ model: 'demo', messages, stream: true });
      for await (const _ of stream);
    }
  }
}
