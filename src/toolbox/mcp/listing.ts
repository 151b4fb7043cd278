/**
 * The tools of an MCP server that can be offered to a model. They are checked one by one, so that a bad tool does not
 * spoil the others, kept few and small enough for a prompt, and named as models accept it.
 */
import { createHash } from 'node:crypto';
import { isSpecType, type Client, type Tool as RemoteTool } from '@modelcontextprotocol/client';
import { AjvJsonSchemaValidator } from '@modelcontextprotocol/client/validators/ajv';
import { z } from 'zod';
import type { Logger } from '../../log.ts';
import { extentOf, MAX_JSON_DEPTH } from '../../runs/json-extent.ts';
import { Broken, quote } from './broken.ts';
import { FOREIGN_KEPT_BYTES, FOREIGN_LIST_BYTES, foreignPart } from './foreign.ts';

/** A tool of a server, and the name it is offered by. */
export interface ListedTool {
  readonly name: string;
  readonly description: string;
  readonly remote: RemoteTool;
}

/** Which of a server's tools to offer, and under which prefix. */
export interface Choice {
  /** The server's own names; all by default. */
  readonly allow?: readonly string[] | undefined;
  /** Before each name. */
  readonly prefix: string;
  /** Whether the server came with a request: little of its tools is kept, and none of their output schemas. */
  readonly isForeign?: boolean;
}

/** How many tools a server may add to a request; the model servers' own limit is often 128 as well. */
const MAX_TOOLS = 128;
const MAX_PAGES = 64;
const MAX_NAME_CHARS = 64;
const MAX_DESCRIPTION_CHARS = 1_024;
const MAX_SCHEMA_BYTES = 32 * 1024;
const HASH_CHARS = 8;
const TOO_MUCH = `more than ${FOREIGN_KEPT_BYTES} bytes of tools`;

/** Used because the library's own schema refuses a whole page for one bad tool. */
const pageSchema = z.looseObject({ tools: z.array(z.unknown()), nextCursor: z.string().optional() });

/**
 * Asks for all pages. Tools that are left out are logged.
 * @param timeoutMs for all of them
 * @throws what the client throws when a page cannot be fetched.
 * @throws {Broken} when the pages of a foreign server are too large.
 */
export async function listTools(
  client: Client,
  choice: Choice,
  timeoutMs: number,
  log: Logger,
): Promise<readonly ListedTool[]> {
  const listing = new Listing(choice, log);
  const options = { timeout: timeoutMs, signal: AbortSignal.timeout(timeoutMs) };
  let cursor: string | undefined;
  let pages = 0;
  while (pages < MAX_PAGES) {
    const params = cursor === undefined ? {} : { cursor };
    const answer = await client.request({ method: 'tools/list', params }, pageSchema, options);
    listing.weigh(answer);
    for (const tool of answer.tools) listing.add(tool);
    cursor = answer.nextCursor;
    if (cursor === undefined) return listing.end();
    pages += 1;
    if (listing.isFull) break;
  }
  log.warn({ pages }, 'list of tools not read to its end');
  return listing.end();
}

class Listing {
  readonly #choice: Choice;
  readonly #log: Logger;
  readonly #tools = new Map<string, ListedTool>();
  readonly #validator = new AjvJsonSchemaValidator();
  /** By reason: how many, and one of them. So ten thousand bad tools are a few log lines. */
  readonly #leftOut = new Map<string, { count: number; readonly first: string }>();

  #readBytes = 0;
  #keptBytes = 0;

  constructor(choice: Choice, log: Logger) {
    this.#choice = choice;
    this.#log = log;
  }

  /** Whether a foreign server need not be asked for more. */
  get isFull(): boolean {
    if (this.#choice.isForeign !== true) return false;
    return this.#tools.size >= MAX_TOOLS || this.#keptBytes >= FOREIGN_KEPT_BYTES;
  }

  /** @throws {Broken} when the pages of a foreign server are too large together. */
  weigh(page: object): void {
    if (this.#choice.isForeign !== true) return;
    this.#readBytes += bytesOf(page);
    if (this.#readBytes > FOREIGN_LIST_BYTES)
      throw new Broken(`Its list of tools has more than ${FOREIGN_LIST_BYTES} bytes.`);
  }

  add(tool: unknown): void {
    const original = nameOf(tool);
    if (this.#choice.allow !== undefined && !this.#choice.allow.includes(original)) return;
    const listed = this.#accept(tool);
    if (typeof listed === 'string') this.#leaveOut(original, listed);
    else this.#tools.set(listed.name, listed);
  }

  end(): readonly ListedTool[] {
    for (const [reason, { count, first }] of this.#leftOut) {
      this.#log.warn({ reason, count, first: quote(first) }, 'tools of an MCP server left out');
    }
    const tools = [...this.#tools.values()];
    const missing = this.#choice.allow?.filter((name) => tools.every(({ remote }) => remote.name !== name));
    if (missing !== undefined && missing.length > 0)
      this.#log.warn({ missing }, 'allowed tools that the MCP server does not offer');
    return tools;
  }

  /** The tool as it is offered, or why it is not. */
  #accept(given: unknown): ListedTool | string {
    if (this.#tools.size >= MAX_TOOLS) return `more than ${MAX_TOOLS}`;
    if (this.isFull) return TOO_MUCH;
    const tool = this.#choice.isForeign === true ? foreignPart(given) : given;
    // Checked first, because the other checks are recursive.
    if (isTooDeep(tool)) return `nested deeper than ${MAX_JSON_DEPTH} levels`;
    if (!isSpecType.Tool(tool) || tool.name === '') return 'invalid definition';
    if (bytesOf(tool.inputSchema) > MAX_SCHEMA_BYTES || bytesOf(tool.outputSchema) > MAX_SCHEMA_BYTES)
      return `schema of more than ${MAX_SCHEMA_BYTES} bytes`;
    const name = this.#freeName(this.#choice.prefix + tool.name);
    if (name === null) return 'named twice';
    const description = (tool.description ?? tool.title ?? '').slice(0, MAX_DESCRIPTION_CHARS).toWellFormed();
    if (this.#choice.isForeign === true) return this.#keep({ name, description, remote: tool });
    // Last, because compiling takes longest.
    return this.#isSchema(tool.outputSchema)
      ? { name, description, remote: tool }
      : 'output schema that is none';
  }

  /** Counts what is kept of a foreign tool. After the first that is too much, there are no more. */
  #keep({ name, description, remote }: ListedTool): ListedTool | string {
    // The full description and the title have served.
    const { name: original, inputSchema, annotations } = remote;
    const kept = { name, description, remote: { name: original, inputSchema, annotations } };
    this.#keptBytes += bytesOf(kept);
    return this.#keptBytes > FOREIGN_KEPT_BYTES ? TOO_MUCH : kept;
  }

  #isSchema(schema: RemoteTool['outputSchema']): boolean {
    try {
      if (schema !== undefined) this.#validator.getValidator(schema);
      return true;
    } catch {
      return false;
    }
  }

  #leaveOut(name: string, reason: string): void {
    const known = this.#leftOut.get(reason);
    if (known === undefined) this.#leftOut.set(reason, { count: 1, first: name });
    else known.count += 1;
  }

  #freeName(wanted: string): string | null {
    const names = [safeName(wanted), hashedName(wanted)];
    return names.find((name) => !this.#tools.has(name)) ?? null;
  }
}

function nameOf(tool: unknown): string {
  return typeof tool === 'object' && tool !== null && 'name' in tool ? String(tool.name) : '';
}

/** As JSON. What is nested too deep to be written is infinitely large. */
function bytesOf(value: object | undefined): number {
  if (value === undefined) return 0;
  try {
    return Buffer.byteLength(JSON.stringify(value));
  } catch {
    return Infinity;
  }
}

function isTooDeep(value: unknown): boolean {
  try {
    return extentOf(JSON.stringify(value)).depth > MAX_JSON_DEPTH;
  } catch {
    // The stack overflowed.
    return true;
  }
}

/** What begins the names of a server's tools by default: `scope_name_` for `@scope/name`. Models accept letters, digits, `_` and `-`. */
export function prefixOf(name: string): string {
  return `${name.replace(/^@/, '').replaceAll(/[^A-Za-z0-9_-]/g, '_')}_`;
}

/** As models accept names: letters, digits, `_` and `-`, at most 64. */
function safeName(wanted: string): string {
  if (wanted.length > MAX_NAME_CHARS) return hashedName(wanted);
  return wanted.replaceAll(/[^A-Za-z0-9_-]/g, '_');
}

/** A name with a hash, for names that would be equal once they are cut or made safe. */
function hashedName(wanted: string): string {
  const hash = createHash('sha256').update(wanted).digest('hex').slice(0, HASH_CHARS);
  const begin = wanted.slice(0, MAX_NAME_CHARS - HASH_CHARS - 1).replaceAll(/[^A-Za-z0-9_-]/g, '_');
  return `${begin}_${hash}`;
}
