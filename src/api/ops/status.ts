/** Endpoints for operators and visitors: is it alive, is it ready, how is it, what is it. None needs a key. */
import packageJson from '../../../package.json' with { type: 'json' };
import { METRICS_TYPE } from '../../metrics.ts';
import type { WriteRefusal } from '../../store/write-probe.ts';
import { json, type Endpoint } from '../http/endpoint.ts';
import type { Services } from '../http/services.ts';

/** @param paths the API's endpoints, for `GET /` */
export function statusEndpoints(
  { readiness, admission, figures }: Services,
  paths: readonly string[],
): readonly Endpoint[] {
  return [
    {
      method: 'GET',
      path: '/',
      handle: () =>
        json({
          name: packageJson.name,
          version: packageJson.version,
          description: packageJson.description,
          endpoints: paths,
        }),
    },
    { method: 'GET', path: '/ping', handle: () => json({ message: 'pong' }) },
    { method: 'GET', path: '/health', handle: () => json({ status: 'healthy' }) },
    {
      method: 'GET',
      path: '/ready',
      handle: async () => {
        const { redis, refusal, workers, skewMs } = await readiness();
        const because: string[] = [...missing(redis, refusal, workers), ...admission.problems];
        const ready = because.length === 0;
        const status = ready ? 'ready' : 'not ready';
        return json({ status, because, redis, workers, clock_skew_ms: skewMs }, ready ? 200 : 503);
      },
    },
    {
      method: 'GET',
      path: '/metrics',
      handle: async () => ({
        type: 'text',
        text: await figures.text(),
        headers: { 'content-type': METRICS_TYPE },
      }),
    },
  ];
}

/** What is missing for work. Workers report by a write, so while Redis takes no writes, their number is unknown. */
function missing(redis: boolean, refusal: WriteRefusal | null, workers: number): readonly string[] {
  if (!redis) return ['redis'];
  if (refusal !== null) return [refusal];
  return workers === 0 ? ['workers'] : [];
}
