/** The tool that a model means when it writes more than a name, and calls whose ids the conversation has already. */
import { describe, expect, test } from 'vitest';
import { CallIds } from '../../src/runs/call-ids.ts';
import { toolNamed } from '../../src/runs/tool-names.ts';
import { assistant, toolStep, user } from './prompts.ts';

describe('a written name', () => {
  const DECLARED = new Set(['get_weather', 'weather', 'search', 'web__search', 'run-code']);

  test.each([
    ['get_weather', 'get_weather'],
    ['functions.get_weather', 'get_weather'],
    ['default_api:get_weather', 'get_weather'],
    ['tools/get_weather', 'get_weather'],
    ['mcp__x__get_weather', 'get_weather'],
    ['multi_tool.get_weather', 'get_weather'],
    ['a.b::get_weather', 'get_weather'],
    ['functions.run-code', 'run-code'],
    [' get_weather\n', 'get_weather'],
    ['functions. get_weather ', 'get_weather'],
    ['"functions.weather"()', 'weather'],
    ['mcp__search', 'search'],
    ['functions.get_weather:0', 'get_weather'],
    ['get_weather:12', 'get_weather'],
    ['get_weather<|channel|>commentary', 'get_weather'],
    ['get_weather <|channel|>commentary <|constrain|>json', 'get_weather'],
    ['<|channel|>commentary to=functions.search<|constrain|>json', 'search'],
    ['search(query="a.search")', 'search'],
    ['default_api.search({"a": [1, (2)]})', 'search'],
    // The exact name counts first.
    ['web__search', 'web__search'],
  ])('%j is %s', (written, name) => {
    expect(toolNamed(written, DECLARED)).toBe(name);
  });

  test.each([
    'get_weather_now',
    'my_search',
    'my-search',
    'xsearch',
    'search.web',
    'search:web',
    'search:web:0',
    'no_tool<|channel|>search_it',
    'Search',
    // Both `search` and `web__search` fit.
    'mcp__web__search',
    '__',
    '.',
    '',
  ])('%j is no tool', (written) => {
    expect(toolNamed(written, DECLARED)).toBeNull();
  });
});

describe('the id of a call', () => {
  const history = () => {
    const step = toolStep(['1']);
    const call = { id: 'c1', type: 'function', function: { name: 'f', arguments: '{}' } } as const;
    const input = [
      { role: 'assistant', content: null, tool_calls: [call] },
      { role: 'tool', tool_call_id: 'c2', content: 'x' },
    ] as const;
    const details = step.step_details;
    const id = details.type === 'tool_calls' ? (details.tool_calls[0]?.id ?? '') : '';
    return { input, items: [user('a'), assistant('b'), step], id };
  };

  test('is the server’s where it is new, and another where a call of the conversation has it', () => {
    const { id, ...known } = history();
    let count = 0;
    const ids = new CallIds(known, (prefix) => `${prefix}_new${(count += 1)}`);
    expect(['x', 'x', 'c1', 'c2', id, 'y'].map((one) => ids.take(one))).toEqual([
      'x',
      'call_new1',
      'call_new2',
      'call_new3',
      'call_new4',
      'y',
    ]);
  });
});
