/** The tool `clock`: the current time, in UTC or any time zone. Models have no clock of their own. */
import { z } from 'zod';
import { defineTool, ToolArgumentError, type ToolDefinition } from '../runs/tool.ts';

const ADVICE =
  'The arguments must be a JSON object such as {} or {"timezone": "Asia/Taipei"}, where timezone is a string.';

const timezone = z
  .string({ error: ADVICE })
  .trim()
  .optional()
  .describe('An IANA name such as "Asia/Taipei". Default UTC.');

// Models without arguments send null as often as they send nothing.
const parameters = z.preprocess(
  (args) => args ?? {},
  z.object({ timezone: z.preprocess((zone) => zone ?? undefined, timezone) }, { error: ADVICE }),
);

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

/** The tool with a given clock; its zone is UTC unless the model asks for another. */
export function createClock(now: () => Date = () => new Date()): ToolDefinition<typeof parameters> {
  return defineTool({
    name: 'clock',
    description: 'Tells the current date and time, in UTC or in any time zone.',
    parameters,
    timeoutMs: 1_000,
    isolated: false,
    run: (args): ClockAnswer => tell(now(), args.timezone || 'UTC'),
  });
}

export default createClock();

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
