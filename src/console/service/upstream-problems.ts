/** Model servers that fail, and what their failures mean. */
import type { ServiceNews, UpstreamNews } from '../admin-stream.ts';
import { say } from '../say.ts';
import type { Problem } from './problems.ts';

/** Model servers that failed between two readings. */
export function* upstreamProblems(before: ServiceNews, now: ServiceNews): Generator<Problem> {
  const earlier = new Map(before.upstreams.map((upstream) => [upstream.name, upstream]));
  for (const upstream of now.upstreams) {
    const was = earlier.get(upstream.name);
    const failed = upstream.errors - (was?.errors ?? 0);
    if (failed <= 0) continue;
    const requests = Math.max(failed, upstream.requests - (was?.requests ?? 0));
    yield {
      name: `upstream ${upstream.name}`,
      what: say(
        `Model server ${upstream.name}: ${failed} of ${requests} requests failed in the last minute`,
        `模型服务器 ${upstream.name}：最近一分钟 ${requests} 个请求中有 ${failed} 个失败`,
      ),
      todo: kindsBetween(was, upstream)
        .map((kind) => `${kind}: ${adviceOf(kind)}`)
        .join(' '),
    };
  }
}

function kindsBetween(before: UpstreamNews | undefined, now: UpstreamNews): readonly string[] {
  return Object.entries(now.errors_by_kind)
    .filter(([kind, count]) => count > (before?.errors_by_kind[kind] ?? 0))
    .map(([kind]) => kind);
}

/** By the kinds of `longrun_upstream_errors_total`. */
function adviceOf(kind: string): string {
  switch (kind) {
    case 'unreachable':
      return say(
        'nothing answers at its address. See whether it runs.',
        '该地址没有响应，请检查它是否在运行。',
      );
    case 'timeout':
      return say('it did not answer in time. It may be overloaded.', '未及时响应，可能负载过高。');
    case 'broken_off':
      return say('answers broke off. See its log.', '回答中断，请查看它的日志。');
    case 'auth':
      return say('it does not take the key. Check the key.', '密钥不被接受，请检查密钥。');
    case 'not_found':
      return say('it does not know the model or the path. Check both.', '没有该模型或路径，请检查两者。');
    case 'rate_limit':
      return say(
        'it wants fewer requests. Give it fewer slots, or raise its limit.',
        '请求过多，请减少槽位或提高其限额。',
      );
    case 'too_long':
      return say(
        'conversations are too long for it. Lower CONTEXT_TOKENS.',
        '对话过长，请降低 CONTEXT_TOKENS。',
      );
    default:
      return say('see its log, and that of the workers.', '请查看它和工作进程的日志。');
  }
}
