/** `/admin`: what operators see of the service, and one stream that tells what changes; callers see the runs of their project. */
import { z } from 'zod';
import packageJson from '../../../package.json' with { type: 'json' };
import { isSafeId } from '../../store/keys.ts';
import type { Call } from '../http/call.ts';
import { json, type Answer, type Endpoint } from '../http/endpoint.ts';
import type { Services } from '../http/services.ts';
import { detailsOf, type DetailSources } from './details.ts';
import { MAILBOX_BYTES, Mailbox } from './mailbox.ts';
import { HISTORY_EVERY_MS } from './sampler.ts';
import { streamedView, type ServiceView } from './reading.ts';

/** What the endpoints are given beside {@link Services}. */
export interface AdminMeans {
  readonly auth: 'none' | 'key' | 'passthrough';
  readonly sampler: {
    readonly now: () => Promise<ServiceView>;
    readonly follow: (listener: (text: string) => void) => () => void;
    readonly history: (seconds: number) => readonly string[];
  };
  /** Calls `end` when this process is told to stop. @returns how to forget that */
  readonly onStop: (end: () => void) => () => void;
  readonly details: Pick<DetailSources, 'open' | 'settings'>;
  readonly news: {
    readonly hear: (
      listener: (news: { readonly project: string; readonly json: string } | 'away' | 'missed') => void,
    ) => Promise<() => void>;
  };
}

/** Of all projects. */
const ALL = '*';

const eventsQuery = z.object({
  project: z
    .string()
    .refine((name) => name === ALL || isSafeId(name), `must be the name of a project, or '${ALL}'`)
    .optional(),
  history_s: z.coerce.number().int().min(0).max(3_600).default(600),
});

const frame = (name: string, data: string): string => `event: ${name}\ndata: ${data}\n\n`;

const LAGGED = frame('lagged', JSON.stringify({ object: 'admin.lagged' }));
const AWAY = frame('away', JSON.stringify({ object: 'admin.away' }));

export function adminEndpoints(services: Services, means: AdminMeans): readonly Endpoint[] {
  return [
    {
      method: 'GET',
      path: '/admin/events',
      handle: async (call) => {
        const { project = call.project, history_s: historyS } = call.query(eventsQuery);
        if (project !== call.project) await call.requireOperator();
        services.admission.admitStream(call.gone);
        call.admitBeside(MAILBOX_BYTES);
        return events(services, means, call, { project, historyS });
      },
    },
    {
      method: 'GET',
      path: '/admin/service',
      handle: async (call) => {
        await call.requireOperator();
        return json(
          await detailsOf({ ...services, ...means.details }, await means.sampler.now(), call.project),
        );
      },
    },
  ];
}

function events(
  services: Services,
  { auth, sampler, news, onStop }: AdminMeans,
  call: Call,
  { project, historyS }: { readonly project: string; readonly historyS: number },
): Answer {
  const ends: (() => void)[] = [];
  const mailbox = new Mailbox(LAGGED, () => {
    for (const end of ends) end();
  });
  const gone = new Promise<null>((resolve) => {
    call.gone.addEventListener('abort', () => resolve(null), { once: true });
  });
  call.gone.addEventListener('abort', () => mailbox.end(), { once: true });
  // It would go on for as long as the process may take to stop.
  ends.push(onStop(() => mailbox.end()));
  let hasBegun = false;
  let isAway = false;
  const begin = async (): Promise<readonly string[] | null> => {
    const deaf = await news.hear((told) => {
      if (typeof told === 'string') isAway = told === 'away';
      // What comes before the hello is in the lists that are read after it.
      if (!hasBegun) return;
      if (told === 'away') mailbox.put(AWAY);
      else if (told === 'missed') mailbox.lag();
      else if (project === ALL || told.project === project) mailbox.put(frame('run', told.json));
    });
    ends.push(deaf);
    if (call.gone.aborted) deaf();
    const hello = await helloOf(services, call, { auth, project });
    hasBegun = true;
    const first = [frame('hello', JSON.stringify(hello)), ...(isAway ? [AWAY] : [])];
    if (!call.isOperator || call.gone.aborted) return first;
    const tell = (text: string): void => mailbox.putSnapshot(frame('service', text));
    ends.push(sampler.follow(tell));
    // Without Redis there may be none; the next one comes.
    sampler.now().then(
      (view) => tell(JSON.stringify(streamedView(view))),
      () => undefined,
    );
    return [...first, ...sampler.history(historyS).map((text) => frame('service', text))];
  };
  return { type: 'events', frames: framesOf(Promise.race([begin(), gone]), mailbox), failure: '' };
}

/** What is written together. */
const TOGETHER_LENGTH = 64 * 1024;

/** The first frames, then what comes to the mailbox. */
async function* framesOf(
  begun: Promise<readonly string[] | null>,
  mailbox: Mailbox,
): AsyncGenerator<string, void> {
  try {
    let text = '';
    for (const frame of (await begun) ?? []) {
      text += frame;
      if (text.length < TOGETHER_LENGTH) continue;
      yield text;
      text = '';
    }
    if (text !== '') yield text;
    yield* mailbox;
  } finally {
    mailbox.end();
  }
}

/** How long the model server may take to say whether it is the demo. */
const MODELS_WITHIN_MS = 1_000;

async function helloOf(
  services: Services,
  call: Call,
  { auth, project }: { readonly auth: AdminMeans['auth']; readonly project: string },
): Promise<object> {
  return {
    object: 'admin.hello',
    version: packageJson.version,
    project: call.project,
    watched: project,
    operator: call.isOperator,
    auth,
    demo: await isDemo(services, call),
    tools: services.plugins.list().length > 0,
    currency: services.money.isKnown ? services.money.currency : null,
    server_time: services.now(),
    history_every_s: HISTORY_EVERY_MS / 1_000,
  };
}

/** Whether the demo model answers: its server says whose it is in its list of models. */
async function isDemo({ models }: Services, call: Call): Promise<boolean> {
  // It has no keys that callers could bring.
  if (call.upstreamKey !== null) return false;
  const waited = new Promise<readonly []>(
    (resolve) => void setTimeout(resolve, MODELS_WITHIN_MS, []).unref(),
  );
  const listed = await Promise.race([models(call), waited]).catch(() => []);
  return listed.some(({ owned_by: owner }) => owner === 'aimock');
}
