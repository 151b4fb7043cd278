/** The tool `clock`: what time it is, here or in any time zone. Models have no clock of their own. */
import { z } from 'zod';
import { ToolArgumentError, type Tool } from '../runs/tool.ts';

const argumentsSchema = z.object({ timezone: z.string().trim().nullish() });

/** What the tool answers. */
export interface ClockAnswer {
  /** The zone's canonical IANA name. */
  readonly timezone: string;
  /** The time there with its offset, for example `2026-03-01T20:15:30+08:00`. */
  readonly local: string;
  readonly weekday: string;
  readonly utc: string;
  readonly unix_seconds: number;
}

/** The tool over a given clock; its zone is UTC unless the model asks for another. */
export function createClock(now: () => Date = () => new Date()): Tool {
  return {
    name: 'clock',
    description:
      'Tells the current date and time. Optional argument: timezone, an IANA name such as "Asia/Taipei" (default UTC).',
    timeoutMs: 1_000,
    run: async (args) => tell(now(), zoneOf(args)),
  };
}

export default createClock();

function zoneOf(args: unknown): string {
  const parsed = argumentsSchema.safeParse(args ?? {});
  if (parsed.success) return parsed.data.timezone || 'UTC';
  throw new ToolArgumentError(
    'The arguments must be a JSON object such as {} or {"timezone": "Asia/Taipei"}, where timezone is a string.',
  );
}

function tell(time: Date, zone: string): ClockAnswer {
  const format = formatIn(zone);
  const parts = new Map(format.formatToParts(time).map(({ type, value }) => [type, value]));
  const part = (type: Intl.DateTimeFormatPartTypes): string => parts.get(type) ?? '';
  const offset = part('timeZoneName').replace('GMT', '') || '+00:00';
  const date = `${part('year').padStart(4, '0')}-${part('month')}-${part('day')}`;
  return {
    timezone: format.resolvedOptions().timeZone,
    local: `${date}T${part('hour')}:${part('minute')}:${part('second')}${offset}`,
    weekday: part('weekday'),
    utc: time.toISOString(),
    unix_seconds: Math.floor(time.getTime() / 1000),
  };
}

function formatIn(timeZone: string): Intl.DateTimeFormat {
  try {
    return new Intl.DateTimeFormat('en-US', {
      timeZone,
      calendar: 'gregory',
      numberingSystem: 'latn',
      hourCycle: 'h23',
      weekday: 'long',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
      timeZoneName: 'longOffset',
    });
  } catch (cause) {
    const text = `There is no time zone ${JSON.stringify(timeZone)}. Use an IANA name such as "Asia/Taipei" or "UTC".`;
    throw new ToolArgumentError(text, { cause });
  }
}
