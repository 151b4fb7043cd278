/** Processes and model servers, and how each does. */
import { html, nothing, type TemplateResult } from 'lit-html';
import type { ApiNews, ServiceNews, UpstreamNews, WorkerNews } from '../admin-stream.ts';
import { say } from '../say.ts';
import { count, duration, empty, idView, link, moment, size } from '../views.ts';
import { share } from './tiles.ts';
import { tableView, type Cell } from './table.ts';

/** Of the runs of a worker; more are counted. */
const SHOWN_RUNS = 5;

export function workersView({ workers }: ServiceNews, project: string): TemplateResult {
  const columns = [
    say('Worker', '工作进程'),
    say('Slots in use', '已用槽位'),
    say('Since', '启动于'),
    say('Clock off by', '时钟偏差'),
    say('Works on', '正在执行'),
  ];
  const none = empty(
    say('No worker is alive. Start one: npm run worker.', '没有存活的工作进程。请启动一个：npm run worker。'),
  );
  return html`<section>
    <h2>${say('Workers', '工作进程')}</h2>
    ${
      workers.length === 0
        ? none
        : tableView(
            say('Workers', '工作进程'),
            columns,
            workers.map((worker) => workerRow(worker, project)),
          )
    }
  </section>`;
}

function workerRow(worker: WorkerNews, project: string): readonly Cell[] {
  const { name, busy, slots, since, skew_ms: skewMs, rebuilds, stalls } = worker;
  const trouble = [
    ...(rebuilds === 0 ? [] : [say(`lost Redis ${rebuilds} times`, `曾 ${rebuilds} 次失去 Redis`)]),
    ...(stalls === 0
      ? []
      : [say(`found ${stalls} jobs that others lost`, `接手他人丢失的任务 ${stalls} 个`)]),
  ];
  return [
    html`${idView(name)}${trouble.length === 0 ? nothing : html`<span class="hint">${trouble.join(', ')}</span>`}`,
    {
      number: html`<meter class="slots" min="0" max=${slots} value=${busy} aria-hidden="true"></meter>
        ${count(busy)} / ${count(slots)}`,
    },
    moment(since),
    { number: duration(Math.abs(skewMs)) },
    runsOf(worker, project),
  ];
}

function runsOf({ running, busy }: WorkerNews, project: string): TemplateResult | string {
  if (running.length === 0) return say('nothing', '无');
  const shown = running.slice(0, SHOWN_RUNS);
  // The stream names a hundred runs of all workers.
  const more = busy - shown.length;
  return html`${shown.map((run) => {
    const id = idView(run.run_id);
    // The runs of other projects are theirs to look into.
    const isOwn = run.project === project;
    return html`<div>
      ${isOwn ? link(`/runs/${run.thread_id}/${run.run_id}`, id) : html`${id} <span class="quiet">${run.project}</span>`}
    </div>`;
  })}
  ${more > 0 ? html`<div class="quiet">${say(`and ${more} more`, `另有 ${more} 个`)}</div>` : nothing}`;
}

export function apisView({ apis }: ServiceNews): TemplateResult {
  const columns = [
    say('API process', 'API 进程'),
    say('Since', '启动于'),
    say('Streams', '流'),
    say('Memory', '内存'),
    say('Event loop late by', '事件循环延迟'),
  ];
  const row = ({
    name,
    since,
    streams,
    memory_bytes: memory,
    loop_delay_ms: late,
  }: ApiNews): readonly Cell[] => [
    idView(name),
    moment(since),
    { number: count(streams) },
    { number: size(memory) },
    { number: duration(late) },
  ];
  return html`<section>
    <h2>${say('API processes', 'API 进程')}</h2>
    ${tableView(say('API processes', 'API 进程'), columns, apis.map(row))}
  </section>`;
}

export function upstreamsView({ upstreams }: ServiceNews): TemplateResult {
  const name = say('Model servers', '模型服务器');
  const columns = [
    say('Model server', '模型服务器'),
    say('Health', '状态'),
    say('Requests', '请求'),
    say('Failed', '失败'),
    say('Sent again', '重试'),
    say('Tokens read', '输入令牌'),
    say('Tokens written', '输出令牌'),
  ];
  return html`<section>
    <h2>${name}</h2>
    ${
      upstreams.length === 0
        ? empty(
            say(
              'No model server was asked yet. Ask something in the playground.',
              '尚未请求过模型服务器。请在演练场中提问。',
            ),
          )
        : tableView(name, columns, upstreams.map(upstreamRow))
    }
    <p class="hint">${say('Counted since the API process was started.', '自 API 进程启动起统计。')}</p>
  </section>`;
}

function upstreamRow({
  name,
  requests,
  errors,
  errors_by_kind: kinds,
  retries,
  tokens,
}: UpstreamNews): readonly Cell[] {
  const why = Object.entries(kinds).map(([kind, number]) => `${kind} ${count(number)}`);
  return [
    html`<strong>${name}</strong>`,
    errors === 0
      ? good(say('no failures', '无失败'))
      : html`<span class="status failed"
          >${share(errors, Math.max(errors, requests))} ${say('failed', '失败')}</span
        >`,
    { number: count(requests) },
    {
      number: html`${count(errors)}${why.length === 0 ? nothing : html`<span class="hint">${why.join(', ')}</span>`}`,
    },
    { number: count(retries) },
    {
      number: html`${count(tokens.input)}${tokens.cached === 0 ? nothing : html`<span class="hint">${say(`${count(tokens.cached)} from its cache`, `缓存命中 ${count(tokens.cached)}`)}</span>`}`,
    },
    { number: count(tokens.output) },
  ];
}

function good(words: string): TemplateResult {
  return html`<span class="status completed">${words}</span>`;
}
