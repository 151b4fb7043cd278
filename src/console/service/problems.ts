/** What is wrong with the service now, in plain words, and what to do. Says the same as docs/operations.md. Pure. */
import type { ServiceNews } from '../admin-stream.ts';
import { say } from '../say.ts';
import { duration } from '../views.ts';
import type { Readiness, ServiceDetails } from './details.ts';
import type { GoneWorker } from './gone-workers.ts';
import { share } from './tiles.ts';

export interface Problem {
  /** The same problem has the same name, whoever tells it. */
  readonly name: string;
  readonly what: string;
  readonly todo: string;
  /** Whether it is over, and only worth knowing. */
  readonly isNote?: boolean;
}

export interface KnownState {
  readonly news: ServiceNews | null;
  readonly ready: Readiness | null;
  readonly details: ServiceDetails | null;
  readonly gone: readonly GoneWorker[];
}

const OLD_MS = 30_000;
const FULL_SHARE = 0.9;
const SKEW_MS = 2_000;

/** The worst first; each once. */
export function problemsOf({ news, ready, details, gone }: KnownState): readonly Problem[] {
  const found = [
    ...(ready?.because ?? []).map(ofReadiness),
    ...(news === null ? [] : ofFigures(news)),
    ...ofClocks(news, ready),
    ...(details === null ? [] : ofSources(details)),
    ...gone.map(goneWorker),
  ];
  return [...new Map(found.map((problem) => [problem.name, problem])).values()];
}

/** By what `GET /ready` says. */
function ofReadiness(because: string): Problem {
  const [what, todo] = READINESS[because]?.() ?? [
    say(`The service is not ready: ${because}`, `服务未就绪：${because}`),
    say('See the log of the API.', '请查看 API 的日志。'),
  ];
  return { name: because, what, todo };
}

const READINESS: Readonly<Record<string, () => readonly [string, string]>> = {
  redis: () => [
    say('Redis does not answer', 'Redis 没有响应'),
    say(
      'Nothing works without it. See whether it runs, and whether REDIS_URL leads to it. Runs go on once it is back.',
      '没有它什么都无法工作。请检查它是否在运行、REDIS_URL 是否正确。恢复后运行会继续。',
    ),
  ],
  storage_full: () => [
    say('Redis is full', 'Redis 已满'),
    say(
      'It takes no new messages. Give it more memory (maxmemory), or let unused threads leave it (THREAD_COLD_ABOVE_MB).',
      '它不再接受新消息。请增加内存（maxmemory），或让闲置会话移出（THREAD_COLD_ABOVE_MB）。',
    ),
  ],
  redis_refuses_writes: () => [
    say('Redis takes no writes', 'Redis 拒绝写入'),
    say(
      'Perhaps its disk is full, or it is a replica. Its own log says why.',
      '可能是磁盘已满，或连接的是只读副本。请查看 Redis 的日志。',
    ),
  ],
  workers: () => [
    say('No worker is alive', '没有存活的工作进程'),
    say(
      'Runs wait until there is one. Start one: npm run worker, or docker compose up -d worker.',
      '运行会一直等待。请启动一个：npm run worker，或 docker compose up -d worker。',
    ),
  ],
  queue: () => [
    say('Too many runs wait', '等待的运行过多'),
    say(
      'New ones are refused (MAX_WAITING_RUNS). Start more workers.',
      '新的运行会被拒绝（MAX_WAITING_RUNS）。请启动更多工作进程。',
    ),
  ],
  streams: () => [
    say('Too many streams are open', '打开的流过多'),
    say(
      'New ones are refused (MAX_STREAMS). Start another API process.',
      '新的流会被拒绝（MAX_STREAMS）。请再启动一个 API 进程。',
    ),
  ],
  memory: () => [
    say('The API process uses too much memory', 'API 进程占用内存过多'),
    say(
      'New requests are refused (MAX_MEMORY_MB). Start another API process.',
      '新的请求会被拒绝（MAX_MEMORY_MB）。请再启动一个 API 进程。',
    ),
  ],
  event_loop: () => [
    say('The API process answers more than a second late', 'API 进程响应延迟超过一秒'),
    say('Its processor is too busy. Start another API process.', '处理器过于繁忙。请再启动一个 API 进程。'),
  ],
};

function* ofFigures(news: ServiceNews): Generator<Problem> {
  const { queue, workers, redis } = news;
  if (!redis.ok) yield ofReadiness('redis');
  else if (workers.length === 0) yield ofReadiness('workers');
  if (queue !== null && queue.waiting > 0 && queue.oldest_wait_ms > OLD_MS)
    yield oldQueue(queue.oldest_wait_ms);
  const { used_memory_bytes: used, max_memory_bytes: max } = redis;
  if (used !== null && max !== null && max > 0 && used / max > FULL_SHARE) yield fullRedis(used, max);
  const failed = news.last_minute?.errors_5xx ?? 0;
  if (failed > 0) yield failedRequests(failed);
}

function oldQueue(ms: number): Problem {
  return {
    name: 'old_queue',
    what: say(`A run has waited for a worker for ${duration(ms)}`, `有运行已等待工作进程 ${duration(ms)}`),
    todo: say(
      'Start more workers, or let each do more at once (WORKER_CONCURRENCY).',
      '请启动更多工作进程，或提高每个的并发数（WORKER_CONCURRENCY）。',
    ),
  };
}

function fullRedis(used: number, max: number): Problem {
  return {
    name: 'storage_nearly_full',
    what: say(`Redis is nearly full (${share(used, max)})`, `Redis 即将占满（${share(used, max)}）`),
    todo: say(
      'A full Redis takes no new messages. Give it more memory (maxmemory), or let unused threads leave it (THREAD_COLD_ABOVE_MB).',
      '占满后不再接受新消息。请增加内存（maxmemory），或让闲置会话移出（THREAD_COLD_ABOVE_MB）。',
    ),
  };
}

function failedRequests(failed: number): Problem {
  return {
    name: 'failed_requests',
    what: say(`Requests failed in the last minute: ${failed}`, `最近一分钟有 ${failed} 个请求失败`),
    todo: say(
      'Search the logs of the API for their x-request-id.',
      '请在 API 日志中按 x-request-id 查找原因。',
    ),
  };
}

function* ofClocks(news: ServiceNews | null, ready: Readiness | null): Generator<Problem> {
  const clocks = [
    [say('an API process', 'API 进程'), ready?.clock_skew_ms ?? 0] as const,
    ...(news?.workers ?? []).map(
      ({ name, skew_ms }) => [say(`worker ${name}`, `工作进程 ${name}`), skew_ms] as const,
    ),
  ];
  for (const [whose, ms] of clocks) {
    if (Math.abs(ms) <= SKEW_MS) continue;
    const off = duration(Math.abs(ms));
    yield {
      name: `clock ${whose}`,
      what: say(`The clock of ${whose} is ${off} off`, `${whose}的时钟相差 ${off}`),
      todo: say('Let the machine take its time from the network (NTP).', '请让该机器与网络时间同步（NTP）。'),
    };
  }
}

/** MCP servers and other sources of tools. */
function* ofSources({ mcp_servers: servers, tools }: ServiceDetails): Generator<Problem> {
  for (const { name, state, last_error: error } of servers)
    if (state !== 'ok') yield brokenSource(say(`MCP server ${name}`, `MCP 服务器 ${name}`), error);
  for (const { source, health } of tools) {
    if (health.status === 'ok' || source.type === 'mcp') continue;
    yield brokenSource(say(`The tools of ${source.from}`, `${source.from} 的工具`), health.reason);
  }
}

function brokenSource(whose: string, error: string | null): Problem {
  return {
    name: `source ${whose}`,
    what: say(`${whose} cannot be used`, `${whose} 无法使用`),
    todo: error ?? say('See the log.', '请查看日志。'),
  };
}

function goneWorker({ name, replacedBy }: GoneWorker): Problem {
  if (replacedBy !== null)
    return {
      name: `gone ${name}`,
      isNote: true,
      what: say(
        `Worker ${name} has gone; ${replacedBy} has taken its place`,
        `工作进程 ${name} 已消失，由 ${replacedBy} 接替`,
      ),
      todo: say(
        'Its runs are taken over. If you did not stop it, see its log.',
        '它的运行已被接管。若非人为停止，请查看它的日志。',
      ),
    };
  return {
    name: `gone ${name}`,
    what: say(`Worker ${name} has gone`, `工作进程 ${name} 已消失`),
    todo: say(
      'It was stopped, or it crashed. Others take over its runs; if it was not you, see its log.',
      '它已停止或崩溃，其他进程会接管它的运行。若非人为，请查看它的日志。',
    ),
  };
}
