/** The figures that matter, at a glance. */
import { html, nothing, type TemplateResult } from 'lit-html';
import type { ServiceNews } from '../admin-stream.ts';
import { say, tag } from '../say.ts';
import { count, duration, size } from '../views.ts';

interface Tile {
  readonly name: string;
  readonly value: string;
  readonly more?: string;
}

const UNKNOWN = '–';

export function tilesView(news: ServiceNews): TemplateResult {
  return html`<dl class="tiles" aria-label=${say('Now', '当前')}>
    ${[...ofRuns(news), ...ofClients(news), ofRedis(news)].map(
      ({ name, value, more }) =>
        html`<div class="tile">
          <dt>${name}</dt>
          <dd>${value}${more === undefined ? nothing : html`<small>${more}</small>`}</dd>
        </div>`,
    )}
  </dl>`;
}

function ofRuns({ queue, workers, open_runs: open }: ServiceNews): readonly Tile[] {
  const busy = sum(workers.map((worker) => worker.busy));
  const slots = sum(workers.map((worker) => worker.slots));
  return [
    {
      name: say('Waiting runs', '等待的运行'),
      value: queue === null ? UNKNOWN : count(queue.waiting),
      ...(queue !== null && {
        more: queue.waiting === 0 ? say('nothing waits', '无等待') : oldest(queue.oldest_wait_ms),
      }),
    },
    {
      name: say('Open runs', '未结束的运行'),
      value: open === null ? UNKNOWN : count(open),
      more: say('with those that wait for clients', '含等待客户端的运行'),
    },
    {
      name: say('Workers', '工作进程'),
      value: count(workers.length),
      more: say(
        `${count(busy)} of ${count(slots)} slots in use`,
        `${count(slots)} 个槽位已用 ${count(busy)} 个`,
      ),
    },
  ];
}

function oldest(ms: number): string {
  return say(`the oldest for ${duration(ms)}`, `最久 ${duration(ms)}`);
}

function ofClients(news: ServiceNews): readonly Tile[] {
  const { first_word: word, last_minute: minute } = news;
  const seconds = (value: number | null): string => (value === null ? UNKNOWN : duration(value * 1_000));
  return [
    {
      name: say('First word', '首字延迟'),
      value: seconds(word.p50_s),
      more:
        word.count === 0
          ? say('no stream or chat in the last minute', '最近一分钟没有流或聊天')
          : say('of streams and chats', '流和聊天') +
            ` · p90 ${seconds(word.p90_s)} · p99 ${seconds(word.p99_s)}`,
    },
    {
      name: say('Failed requests', '失败的请求'),
      value: minute === null ? UNKNOWN : share(minute.errors_5xx, minute.requests),
      more: minute === null ? say('not known yet', '尚未得知') : requests(minute.requests, minute.errors_4xx),
    },
    {
      name: say('Open streams', '打开的流'),
      value: count(news.streams_open),
      more: say(
        `${count(news.sockets_open)} of them WebSockets`,
        `其中 WebSocket ${count(news.sockets_open)} 个`,
      ),
    },
  ];
}

function requests(all: number, refused: number): string {
  return say(
    `of ${count(all)} in the last minute; ${count(refused)} refused`,
    `最近一分钟共 ${count(all)} 个，被拒绝 ${count(refused)} 个`,
  );
}

function ofRedis({ redis: { ok, used_memory_bytes: used, max_memory_bytes: max } }: ServiceNews): Tile {
  const name = say('Redis memory', 'Redis 内存');
  if (!ok) return { name, value: UNKNOWN, more: say('Redis does not answer', 'Redis 没有响应') };
  return {
    name,
    value: used === null ? UNKNOWN : size(used),
    more:
      max === null || max === 0
        ? say('no limit set', '未设上限')
        : say(`of ${size(max)}`, `上限 ${size(max)}`),
  };
}

export function share(part: number, all: number): string {
  const value = all === 0 ? 0 : part / all;
  return value.toLocaleString(tag(), { style: 'percent', maximumFractionDigits: 1 });
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
