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
const NAMES: Readonly<Record<Language, Readonly<Record<'host' | 'travel' | 'weather', string>>>> = {
  en: { host: 'Host', travel: 'Travel desk', weather: 'Weather' },
  zh: { host: '茶馆助手', travel: '旅行顾问', weather: '天气' },
};
export const CHARTS = {
  en: 'Draw a chart of 3, 1, 4, 1, 5, 9',
  zh: '画一张 3、1、4、1、5、9 的柱状图',
} as const;
const WEATHER = { en: 'What is the weather in Lisbon?', zh: '用 get_weather 查一下里斯本的天气' } as const;
/** Runs that are there before the first picture. */
const FIRST_RUNS = 9;

export interface Made {
  /** The assistant of the playground. */
  readonly assistantId: string;
  /** Where a run with a tool can be seen. */
  readonly threadId: string;
  readonly runId: string;
}

export class Traffic {
  readonly #openai: OpenAI;
  readonly #language: Language;
  readonly #over = new AbortController();
  #going: Promise<void> = Promise.resolve();

  constructor(baseURL: string, language: Language) {
    this.#openai = new OpenAI({ baseURL, apiKey: 'none' });
    this.#language = language;
  }

  /** Makes the first runs, and goes on with more. */
  async begin(): Promise<Made> {
    const names = NAMES[this.#language];
    const clock = { type: 'function' as const, function: { name: 'clock' } };
    const own = { auto_tools: 'true' };
    const host = await this.#assistant(names.host, [clock, { type: 'code_interpreter' }], own);
    const travel = await this.#assistant(names.travel, [clock], own);
    const parameters = { type: 'object', properties: { location: { type: 'string' } } };
    const weather = await this.#assistant(
      names.weather,
      [{ type: 'function', function: { name: 'get_weather', parameters } }],
      {},
    );
    // Packages of the code interpreter are fetched once.
    await this.#run(host, CHARTS[this.#language]);
    const seen = await this.#run(host, this.#question(0));
    for (let number = 1; number < FIRST_RUNS; number += 1) {
      if (number === 3) await this.#run(weather, WEATHER[this.#language]);
      else if (number === 6) await this.#cancelled(travel);
      else await this.#run(number % 2 === 0 ? host : travel, this.#question(number));
    }
    this.#going = this.#more([travel, host]);
    return { assistantId: host, ...seen };
  }

  async end(): Promise<void> {
    this.#over.abort();
    await this.#going;
  }

  #question(number: number): string {
    const questions = QUESTIONS[this.#language];
    return questions[number % questions.length] ?? '';
  }

  async #assistant(
    name: string,
    tools: OpenAI.Beta.AssistantTool[],
    metadata: Record<string, string>,
  ): Promise<string> {
    return (await this.#openai.beta.assistants.create({ name, model: 'demo', tools, metadata })).id;
  }

  async #run(assistantId: string, content: string): Promise<Pick<Made, 'threadId' | 'runId'>> {
    const { threads } = this.#openai.beta;
    const thread = await threads.create({ messages: [{ role: 'user', content }] });
    const asked = { assistant_id: assistantId };
    const run = await threads.runs.createAndPoll(thread.id, asked, { pollIntervalMs: 300 });
    return { threadId: thread.id, runId: run.id };
  }

  async #cancelled(assistantId: string): Promise<void> {
    const { threads } = this.#openai.beta;
    const thread = await threads.create({ messages: [{ role: 'user', content: this.#question(1) }] });
    const run = await threads.runs.create(thread.id, { assistant_id: assistantId });
    await threads.runs.cancel(run.id, { thread_id: thread.id });
  }

  /** A run of an assistant, then a chat, and so on. */
  async #more(assistantIds: readonly string[]): Promise<void> {
    for (let number = 0; !this.#over.signal.aborted; number += 1) {
      await this.#run(assistantIds[number % assistantIds.length] ?? '', this.#question(number));
      const messages = [{ role: 'user' as const, content: this.#question(number + 1) }];
      const stream = await this.#openai.chat.completions.create({ model: 'demo', messages, stream: true });
      for await (const _ of stream);
    }
  }
}
