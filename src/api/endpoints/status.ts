/** What an operator or a curious visitor asks: is it alive, is it ready, how is it, what is it. None needs a key. */
import packageJson from '../../../package.json' with { type: 'json' };
import { METRICS_TYPE } from '../../metrics.ts';
import { json, type Endpoint } from '../endpoint.ts';
import type { Services } from '../services.ts';

/** @param paths the API's endpoints, for `GET /` */
export function statusEndpoints(
  { readiness, pressure, figures }: Services,
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
        const { redis, workers } = await readiness();
        const missing = redis ? [] : ['redis'];
        if (redis && workers === 0) missing.push('workers');
        const because = [...missing, ...pressure.problems];
        const ready = because.length === 0;
        return json({ status: ready ? 'ready' : 'not ready', because, redis, workers }, ready ? 200 : 503);
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
