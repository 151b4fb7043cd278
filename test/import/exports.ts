/** Exports as programs saved them from the hosted API: list pages with its fields and bounds. */

interface Listed {
  readonly id: string;
  readonly created_at: number;
}

/** Pages of at most `size` items, newest first as the hosted API gave them unless `ascending`. */
export function pagesOf<T extends Listed>(
  oldestFirst: readonly T[],
  size: number,
  ascending = false,
): readonly object[] {
  const list = ascending ? oldestFirst : oldestFirst.toReversed();
  const pages: object[] = [];
  for (let at = 0; at < list.length; at += size) {
    const data = list.slice(at, at + size);
    pages.push({
      object: 'list',
      data,
      first_id: data[0]?.id,
      last_id: data.at(-1)?.id,
      has_more: at + size < list.length,
    });
  }
  return pages;
}

export function assistant(name: string, changes: object = {}) {
  return {
    id: `asst_${name}`,
    object: 'assistant',
    created_at: 1_699_009_709,
    name,
    description: null,
    model: 'gpt-4o',
    instructions: 'You are a tutor.',
    tools: [] as unknown[],
    tool_resources: {},
    metadata: {},
    top_p: 1,
    temperature: 1,
    reasoning_effort: null,
    response_format: 'auto',
    ...changes,
  };
}

export function thread(name: string, changes: object = {}) {
  return {
    id: `thread_${name}`,
    object: 'thread',
    created_at: 1_699_012_949,
    metadata: {},
    tool_resources: {},
    ...changes,
  };
}

export function message(threadName: string, number: number, changes: object = {}) {
  return {
    id: `msg_${threadName}_${number}`,
    object: 'thread.message',
    // Three of each second: only the order of the page tells them apart.
    created_at: 1_699_016_383 + Math.floor(number / 3),
    assistant_id: null,
    thread_id: `thread_${threadName}`,
    run_id: null,
    role: number % 2 === 0 ? 'user' : 'assistant',
    content: [
      { type: 'text', text: { value: `message ${number}`, annotations: [] as unknown[] } },
    ] as unknown[],
    attachments: [] as unknown[],
    metadata: {},
    ...changes,
  };
}
