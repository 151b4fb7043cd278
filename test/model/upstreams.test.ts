import { describe, expect, test } from 'vitest';
import { route } from '../../src/model/upstreams.ts';
import { ModelError } from '../../src/runs/model.ts';
import { upstreamAt } from './upstream.ts';

const first = upstreamAt('http://a/v1', { name: 'first', models: ['llama'] });
const aliased = upstreamAt('http://b/v1', {
  name: 'aliased',
  aliases: { '<yuntianshiren>': 'qwen-max', llama: 'never' },
});
const fallback = upstreamAt('http://c/v1', { name: 'default' });
const all = [first, aliased, fallback];

describe('route', () => {
  test.each([
    ['a listed model goes to its upstream', all, 'llama', null, 'first', 'llama'],
    [
      'an alias goes to its upstream under the name used there',
      all,
      '<yuntianshiren>',
      null,
      'aliased',
      'qwen-max',
    ],
    ['the word default means the same as nothing', all, '<yuntianshiren>', 'default', 'aliased', 'qwen-max'],
    ['an unlisted model goes to the upstream named default', all, 'gpt-4o', null, 'default', 'gpt-4o'],
    ['without one named default it goes to the first', [first, aliased], 'gpt-4o', null, 'first', 'gpt-4o'],
    ['a backend_id wins over the lists', all, 'llama', 'aliased', 'aliased', 'never'],
    ['a backend_id is enough for a model nobody lists', all, 'other', 'first', 'first', 'other'],
    ['names that every object has are no aliases', all, 'constructor', 'aliased', 'aliased', 'constructor'],
  ])('%s', (_, upstreams, model, backendId, ...expected) => {
    const there = route(upstreams, model, backendId);
    expect([there.upstream.name, there.model]).toEqual(expected);
  });

  test('an unknown backend_id is refused with the names that exist', () => {
    expect(() => route(all, 'm', 'nope')).toThrow(ModelError);
    expect(() => route(all, 'm', 'nope')).toThrow(/'nope'.*'first', 'aliased', 'default'/);
  });

  test('without any upstream the error says what to set', () => {
    expect(() => route([], 'm', null)).toThrow(/OPENAI_BASE_URL/);
  });
});
