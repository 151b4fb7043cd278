/**
 * Which machines keep files in a folder. Where the folder is not said to be shared there may be one only: what is uploaded on one
 * machine would be missing on the other, and nobody would notice before a client asks for it.
 */
import { CannotStart } from '../cannot-start.ts';
import { insist } from './away.ts';
import type { Presence } from './presence.ts';

const BEAT_MS = 5_000;
/** Three beats missed. */
const ABSENT_AFTER_MS = 15_000;

/**
 * Says that a process on `host` keeps files in a folder of its own, until the returned function is called. Waits while Redis is away.
 * @throws {CannotStart} where processes on another machine do as well
 */
export async function announceFolder(
  { redis, keys, nowMs }: Presence,
  host: string,
): Promise<() => Promise<void>> {
  const beat = async (): Promise<void> => {
    const atMs = nowMs();
    await redis.host(1, keys.files.hosts, host, atMs, atMs - ABSENT_AFTER_MS);
  };
  // Said first and looked then: of two that start at once, each sees the other.
  await insist(beat);
  const hosts = await insist(async () =>
    redis.zrangebyscore(keys.files.hosts, nowMs() - ABSENT_AFTER_MS, '+inf'),
  );
  const others = hosts.filter((other) => other !== host);
  const leave = async (): Promise<void> => void (await redis.zrem(keys.files.hosts, host).catch(() => 0));
  if (others.length > 0) {
    await leave();
    throw new CannotStart(
      `FILES_URL is a folder on this machine (${host}), but processes on others (${others.slice(0, 3).join(', ')}) use the same Redis: they would miss each other's files. Set FILES_URL to s3://bucket/prefix, or FILES_SHARED=true where the folder is the same one everywhere.`,
    );
  }
  const timer = setInterval(() => void beat().catch(() => undefined), BEAT_MS);
  return async () => {
    clearInterval(timer);
    await leave();
  };
}
