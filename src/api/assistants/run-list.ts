/** `GET /runs`: the newest runs of a project, of all its threads and of chats without one. The hosted API had no such list. */
import { z } from 'zod';
import { isOverdue } from '../../runs/run.ts';
import { RUN_STATUSES, type Run } from '../../runs/thread.ts';
import { isSafeId } from '../../store/keys.ts';
import type { WantedRuns } from '../../store/recent-runs.ts';
import type { Endpoint } from '../http/endpoint.ts';
import { page } from '../http/list.ts';
import type { Services } from '../http/services.ts';

const seconds = z.coerce.number().int().min(0).max(1e11).optional();

const runsQuery = z.object({
  /** Separated by commas, or given several times. */
  status: z
    .preprocess(
      (given) => (typeof given === 'string' ? given.split(',').map((status) => status.trim()) : given),
      z.array(z.enum(RUN_STATUSES)).min(1),
    )
    .optional(),
  assistant_id: z.string().min(1).optional(),
  thread_id: z.string().min(1).optional(),
  created_after: seconds,
  created_before: seconds,
  /** Only operators may name another one than their own. */
  project: z.string().refine(isSafeId, 'must be the name of a project').optional(),
});

export function runListEndpoints({ runs, objects, now }: Services): readonly Endpoint[] {
  return [
    {
      method: 'GET',
      path: '/runs',
      handle: async (call) => {
        const asked = call.query(runsQuery);
        const { project = call.project } = asked;
        if (project !== call.project) await call.requireOperator();
        const fits = (run: Run): boolean =>
          (asked.assistant_id === undefined || run.assistant_id === asked.assistant_id) &&
          // What it will be once it has been ended is not known yet.
          (asked.status === undefined || asked.status.includes(run.status) || isOverdue(run, now()));
        const wanted: WantedRuns = {
          threadId: asked.thread_id ?? null,
          createdAfter: asked.created_after ?? null,
          createdBefore: asked.created_before ?? null,
          fits,
        };
        return page(call, async (query) => {
          const found = await objects.recentRuns.list(project, query, wanted);
          if (found.type === 'unknown cursor') return found;
          const overdue = found.items.filter((run) => isOverdue(run, now()));
          if (overdue.length === 0) return found;
          // Overdue runs are ended first, so that no list shows one as alive.
          await Promise.all(
            overdue.map(async ({ id, thread_id }) =>
              runs.current({ project, threadId: thread_id, runId: id }),
            ),
          );
          return objects.recentRuns.list(project, query, wanted);
        });
      },
    },
  ];
}
