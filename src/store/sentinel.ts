/** A repair of how ioredis follows a failover that Sentinels report. Leans on a private field of it, which a test watches. */
import { SentinelConnector } from 'ioredis';

/**
 * Sentinels report a failover by ending the connection, so that the new master is looked for. When ioredis is already
 * looking, the report makes it give up for good. So the detector is detached first; the next connection has its own.
 */
export class UndeterredConnector extends SentinelConnector {
  constructor(options: unknown) {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- ioredis hands in the options of the connection.
    super(options as ConstructorParameters<typeof SentinelConnector>[0]);
  }

  override async connect(
    ...args: Parameters<SentinelConnector['connect']>
  ): ReturnType<SentinelConnector['connect']> {
    // Private to ioredis, which has no other way to call it off.
    const detector = Reflect.get(this, 'failoverDetector') as { cleanup(): void } | null;
    detector?.cleanup();
    Reflect.set(this, 'failoverDetector', null);
    return super.connect(...args);
  }
}
