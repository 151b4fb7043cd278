/** Key names: one thread, one slot; one project, one space; and ids that cannot break out of either. */
import { describe, expect, test } from 'vitest';
import { isSafeId, Keys, type Collection } from '../../src/store/keys.ts';

const keys = new Keys('prefix');

function threadKeys(project: string, threadId: string): readonly string[] {
  const ref = { project, threadId, runId: 'run_1' };
  const ofThread = [keys.thread(ref), keys.active(ref), keys.order(ref), keys.labels(ref), keys.runs(ref)];
  const ofMessages = [...names(keys.messages(ref)), keys.runMessages(ref)];
  const ofSteps = [keys.steps(ref), keys.runSteps(ref), keys.toolSteps(ref)];
  return [...ofThread, ...ofMessages, ...ofSteps, keys.run(ref), keys.log(ref), keys.events(ref)];
}

const names = ({ docs, index, gone }: Collection): readonly string[] => [docs, index, gone];

describe('keys', () => {
  test('everything of one thread carries its id as hash tag, so that a commit stays in one slot', () => {
    for (const key of threadKeys('p', 'thread_1')) {
      expect(key.match(/\{[^}]*\}/g)).toStrictEqual(['{thread_1}']);
    }
  });

  test('no two things share a key, in whatever project, thread or service', () => {
    const all = [
      ...threadKeys('p', 'thread_1'),
      ...threadKeys('p', 'thread_2'),
      ...threadKeys('q', 'thread_1'),
      ...names(keys.assistants('p')),
      ...names(keys.assistants('q')),
      keys.answer('p', 'digest'),
      keys.answer('q', 'digest'),
      keys.usage('p', '2026-11-26'),
      keys.usage('q', '2026-11-26'),
      keys.counted('p', 'run_1'),
      keys.toolAnswer('p', 'digest'),
      keys.toolAnswer('q', 'digest'),
      keys.open,
      keys.threads,
      new Keys('other').open,
      keys.workers,
      keys.worker('host/a'),
      keys.sweeper,
      keys.changes,
      keys.queue,
    ];
    expect(new Set(all).size).toBe(all.length);
  });

  test('the queue’s prefix is a hash tag of its own', () => {
    expect(keys.queue).toBe('{prefix}');
  });
});

describe('isSafeId', () => {
  test.each(['run_1', 'thread_abcXYZ0189', 'a.b-c', 'x'.repeat(128)])('%s may stand in a key', (id) => {
    expect(isSafeId(id)).toBe(true);
  });

  test.each(['', 'a:b', '{a}', 'a}b', 'a b', 'a/b', 'a\nb', 'ä', 'a*', 'x'.repeat(129), 'run_1\n'])(
    '%j may not',
    (id) => {
      expect(isSafeId(id)).toBe(false);
    },
  );
});
