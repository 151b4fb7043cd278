/** What every tool that comes with the service must be; and the photo tool, which is only declared. */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { ToolError, type ToolDefinition } from '../../src/runs/tool.ts';
import photo from '../../src/tools/take_a_photo.ts';
import { PHOTO_TOOL } from '../../src/turns/photo.ts';
import { toolContext } from '../support/tool-context.ts';

const FOLDER = path.join(import.meta.dirname, '../../src/tools');
/** Leaves room for other tools' calls in a run's time. */
const MAX_TIMEOUT_MS = 30_000;

const moduleSchema = z.object({ default: z.custom<ToolDefinition>((value) => typeof value === 'object') });
const files = readdirSync(FOLDER).filter((file) => file.endsWith('.ts'));

test('all of them are here', () => {
  expect(files).toStrictEqual(['clock.ts', 'fetch_page.ts', 'search.ts', 'take_a_photo.ts']);
});

describe.each(files)('%s', (file) => {
  const load = async (): Promise<ToolDefinition> =>
    moduleSchema.parse(await import(path.join(FOLDER, file))).default;

  test('has a name that every model server accepts, and says in a sentence what it is for', async () => {
    const { name, description } = await load();
    expect(name).toMatch(/^[A-Za-z0-9_-]{1,64}$/);
    expect(description).toMatch(/^[A-Z].{20,400}\.$/);
  });

  test('takes an object, each member of which has a type and is described, down to the last', async () => {
    const { parameters } = await load();
    const schema = z.toJSONSchema(parameters, { io: 'input' });
    expect(schema.type).toBe('object');
    const members = (of: z.core.JSONSchema.BaseSchema): unknown[] =>
      Object.entries(of.properties ?? {}).flatMap(([name, member]) => {
        if (typeof member === 'boolean' || member.type === undefined) return `${name} has no type`;
        if (member.type === 'object') return members(member);
        return member.description === undefined ? `${name} is not described` : [];
      });
    expect(members(schema)).toStrictEqual([]);
  });

  test('answers wrong arguments in whole sentences', async () => {
    const { parameters } = await load();
    for (const wrong of [5, 'text', [], { query: 5, url: 5, timezone: 5, topk: {}, max_characters: 'x' }]) {
      const messages = parameters.safeParse(wrong).error?.issues.map((issue) => issue.message) ?? [];
      for (const message of messages) expect(message).toMatch(/ must .*\.$/);
    }
  });

  test('keeps to limits', async () => {
    const { timeoutMs = 10_000, maxOutputBytes = 1, cacheS = 0 } = await load();
    expect(timeoutMs).toBeGreaterThan(0);
    expect(timeoutMs).toBeLessThanOrEqual(MAX_TIMEOUT_MS);
    expect(maxOutputBytes).toBeGreaterThan(0);
    expect(cacheS).toBeGreaterThanOrEqual(0);
  });
});

test('a photo is taken by the device: asked itself, the service says what to do', () => {
  expect(photo.answeredBy).toBe('device');
  expect(photo.name).toBe(PHOTO_TOOL);
  const take = (): unknown => photo.run({}, toolContext());
  expect(take).toThrow(ToolError);
  expect(take).toThrow(/URL, or a data URL.*as the output of the call/);
});
