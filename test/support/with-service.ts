/**
 * The set-up of nearly every test of the API, in one line: a fake model, the service over it, and a client. They start
 * before the first test of the file, or of the `describe` that calls this, and end after its last test.
 */
import { afterAll, beforeAll, beforeEach, inject } from 'vitest';
import { Service, type ServiceOptions } from './service.ts';
import { FakeUpstream } from './upstream.ts';
import { Wire } from './wire.ts';

/** What tests can use while they run; not available before. */
export interface Running {
  /** The model. It answers `You said: …` unless a test sets another reply, which holds until the test ends. */
  readonly upstream: FakeUpstream;
  readonly service: Service;
  readonly wire: Wire;
}

/** @param options settings of the service; a function is called when the service starts */
export function withService(
  options: Omit<ServiceOptions, 'redisUrl'> | (() => Omit<ServiceOptions, 'redisUrl'>) = {},
): Running {
  const upstream = new FakeUpstream();
  const service = new Service(() => ({
    redisUrl: inject('redisUrl'),
    upstream,
    ...(typeof options === 'function' ? options() : options),
  }));
  beforeAll(async () => {
    await upstream.listen();
    await service.start();
  });
  beforeEach(() => upstream.keepReply());
  afterAll(async () => {
    try {
      await service.stop();
    } finally {
      await upstream.stop();
    }
  });
  return { upstream, service, wire: new Wire(() => service.baseUrl) };
}
