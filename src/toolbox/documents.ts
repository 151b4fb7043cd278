/**
 * Reads documents in the processes of tools. A document that takes its process too much memory or time is at fault itself,
 * and harms nobody else.
 */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import type { Logger } from '../log.ts';
import type { DocumentOutcome, ReadDocument } from '../runs/document.ts';
import { ToolError, type ToolContext } from '../runs/tool.ts';
import type { ChunkText } from '../runs/vector-store.ts';
import type { ToolDescription } from './definition.ts';
import { PoolBusy, type ToolPool } from './pool.ts';
import { ProcessEnded } from './tool-process.ts';

const FILE = fileURLToPath(new URL('../documents/read-document.ts', import.meta.url));
/** As many as are embedded in one request. */
const GROUP = 64;

const outcomeSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('read'), chunks: z.int().min(0) }),
  z.object({
    type: z.literal('refused'),
    error: z.object({ code: z.enum(['unsupported_file', 'invalid_file']), message: z.string() }),
  }),
]);

const chunkSchema = z.object({ text: z.string(), words: z.string().exactOptional() });

/** Reads documents in processes of this pool. The first is started when the first document comes. */
export function documentReader(pool: ToolPool, log: Logger): ReadDocument {
  let described: Promise<ToolDescription> | null = null;
  return async ({ path, name }, sizes, signal) => {
    described ??= pool.describe(FILE);
    const description = await described.catch((error: unknown) => {
      described = null;
      throw error;
    });
    const output = `${path}.chunks`;
    const args = { path, name, output, sizes };
    try {
      const context = { ...NOBODY, log, timeoutMs: description.timeoutMs, signal };
      const outcome = outcomeSchema.parse(await pool.tool(FILE, description).run(args, context));
      return outcome.type === 'read' ? { ...outcome, groups: () => groupsOf(output) } : outcome;
    } catch (error) {
      const isFault =
        error instanceof ProcessEnded || (error instanceof ToolError && !(error instanceof PoolBusy));
      if (!isFault || signal.aborted) throw error;
      log.warn({ err: error }, 'a document could not be read');
      return tooMuch(name, description.timeoutMs);
    }
  };
}

/** A call that belongs to nobody, and reaches nothing. */
const NOBODY: Omit<ToolContext, 'log' | 'timeoutMs' | 'signal'> = {
  project: '',
  runId: null,
  threadId: '',
  assistantId: null,
  callId: null,
  extras: {},
  secrets: {},
  settings: {},
  fetch: async () => {
    throw new Error('a document reaches nothing');
  },
};

function tooMuch(name: string, timeoutMs: number): DocumentOutcome {
  const shown = name
    .replaceAll(/[\p{Cc}\p{Cf}]/gu, '')
    .slice(0, 100)
    .toWellFormed();
  const message = `${shown} could not be read within ${timeoutMs / 1_000} s and 512 MB of memory. It may be damaged; if not, divide it.`;
  return { type: 'refused', error: { code: 'invalid_file', message } };
}

async function* groupsOf(path: string): AsyncGenerator<readonly ChunkText[], void> {
  let group: ChunkText[] = [];
  for await (const line of createInterface({ input: createReadStream(path) })) {
    group.push(chunkSchema.parse(JSON.parse(line)));
    if (group.length < GROUP) continue;
    yield group;
    group = [];
  }
  if (group.length > 0) yield group;
}
