/**
 * As support/with-service.ts, for files that only ask the service and its model: the service is one that other files have had
 * before (support/keeper.ts), the model is the file's own. All share a project, so a file that lists what a project has, that
 * looks at logs or figures, or that ends processes has a service of its own; and ids that a file makes up, such as those of a
 * chat's threads, are in no other file with the same settings.
 */
import { afterAll, beforeAll, beforeEach, inject } from 'vitest';
import { loanSchema, type Loan } from './loan.ts';
import { FakeUpstream } from './upstream.ts';
import { Wire } from './wire.ts';

/** What tests can use while they run; not available before. */
export interface Shared {
  /** The model. It answers `You said: …` unless a test sets another reply, which holds until the test ends. */
  readonly upstream: FakeUpstream;
  readonly service: SharedService;
  readonly wire: Wire;
}

/** A service that the file was lent. */
export class SharedService {
  #loan: Loan | null = null;

  /** Its origin. */
  get url(): string {
    return this.#lent.url;
  }

  /** The value for an SDK's `baseURL`. */
  get baseUrl(): string {
    return `${this.url}/v1`;
  }

  /** The prefix of every key it writes, those of other files among them. */
  get redisPrefix(): string {
    return this.#lent.redisPrefix;
  }

  /** @returns the port where its model has to listen. */
  async borrow(env: Readonly<Record<string, string>>): Promise<number> {
    this.#loan = loanSchema.parse(await ask('POST', env));
    return this.#loan.upstreamPort;
  }

  async giveBack(): Promise<void> {
    if (this.#loan !== null) await ask('DELETE', this.#loan);
  }

  get #lent(): Loan {
    if (this.#loan === null) throw new Error('the service is there when the tests run, not before');
    return this.#loan;
  }
}

/** The key of {@link KEYED}. */
export const KEY = 'the right key';
/** Settings for files that need a key to be asked for. Waits are short, because none of them says how long one takes. */
export const KEYED = { AUTH: 'key', API_KEY: KEY, HEARTBEAT_MS: '100', POLL_AFTER_MS: '20' } as const;
/** Settings for files that need several projects; each file has keys of its own. */
export const PASSTHROUGH = { AUTH: 'passthrough', SECRET: 'the secret of these tests' } as const;
/** What is said where an answer is slow, with {@link HURRIED}. */
export const FILLER = '嗯，';
/** Settings for files each of which needs some of these, and for which the others change nothing. */
export const HURRIED = {
  CODE_SANDBOX: 'off',
  FILLER_AFTER_MS: '400',
  FILLER_TEXT: FILLER,
  HEARTBEAT_MS: '100',
  POLL_AFTER_MS: '20',
  UPSTREAM_RETRIES: '0',
} as const;

/**
 * @param env settings of the service; files with the same settings share services
 * @param model the model of another service of the file, to be that of this one as well; it is there before, and longer
 */
export function withSharedService(
  env: Readonly<Record<string, string>> = {},
  model: FakeUpstream | null = null,
): Shared {
  const upstream = model ?? new FakeUpstream();
  const service = new SharedService();
  let stop = async (): Promise<void> => (model === null ? upstream.stop() : undefined);
  beforeAll(async () => {
    const port = await service.borrow(env);
    if (model === null) await upstream.listen(port);
    else stop = await model.alsoListen(port);
  });
  if (model === null) beforeEach(() => upstream.keepReply());
  afterAll(async () => {
    try {
      await stop();
    } finally {
      await service.giveBack();
    }
  });
  return { upstream, service, wire: new Wire(() => service.baseUrl) };
}

async function ask(method: 'POST' | 'DELETE', body: object): Promise<unknown> {
  const response = await fetch(inject('keeperUrl'), { method, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`no service can be lent: ${await response.text()}`);
  return response.json();
}
