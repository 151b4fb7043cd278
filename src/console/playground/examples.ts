/** Questions for those who are here for the first time, and the assistant that can answer them. */
import type { Api } from '../api.ts';
import { say } from '../say.ts';
import type { Assistant, List, Model, Plugin } from '../wire.ts';

export interface Example {
  readonly question: string;
  /** What it shows. */
  readonly about: string;
}

export const examples = (): readonly Example[] => [
  {
    question: say('What time is it in Tokyo?', '东京现在几点？'),
    about: say('a tool of the server', '服务器自带的工具'),
  },
  {
    question: say('Draw a chart of 3, 1, 4, 1, 5, 9', '画一张 3、1、4、1、5、9 的柱状图'),
    about: say('Python in a sandbox', '沙箱里的 Python'),
  },
  {
    question: say('What is the weather in Lisbon?', '用 get_weather 查一下里斯本的天气'),
    about: say('a function that you answer', '由你来回答的函数'),
  },
  {
    question: say('Look at this: what do you see?', '看看这个：你看到了什么？'),
    about: say('a device’s camera', '设备的摄像头'),
  },
];

/** By this an assistant is known to be the one of the examples. */
const MARK = 'console_demo';
const PLUGINS = ['clock', 'take_a_photo'];

export function isDemo({ metadata }: Assistant): boolean {
  return metadata[MARK] === 'true';
}

/** Makes the assistant of the examples, of what the server has. */
export async function makeDemo(api: Api): Promise<Assistant> {
  const [models, plugins] = await Promise.all([
    api.get<List<Model>>('/models'),
    api.get<List<Plugin>>('/plugins'),
  ]);
  const has = PLUGINS.filter((name) => plugins.data.some((plugin) => plugin.name === name));
  const city = { type: 'string', description: 'Name of the city' };
  return api.post<Assistant>('/assistants', {
    name: say('Demo', '演示'),
    model: models.data[0]?.id ?? 'demo',
    instructions: say(
      'You are a helpful assistant. Use your tools where they help, and answer shortly.',
      '你是一个乐于助人的助手。需要时使用工具，回答简短。',
    ),
    tools: [
      { type: 'code_interpreter' },
      {
        type: 'function',
        function: {
          name: 'get_weather',
          description: 'The weather in a city',
          parameters: { type: 'object', properties: { city }, required: ['city'] },
        },
      },
    ],
    metadata: { [MARK]: 'true', ...(has.length > 0 && { auto_tools: has.join(',') }) },
  });
}
