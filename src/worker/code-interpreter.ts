/**
 * Answers calls of code_interpreter. A run has one kernel, which keeps its variables from call to call and ends with the
 * execution of the run; a run that is executed again after its worker died begins with a fresh one:
 *
 *   C1  calls of a run are run one after the other, in the order in which they come
 *   C2  the code finds the files of the run in its folder, under their names and under their ids
 *   C3  what the code draws and makes is kept in files of the project before it is told
 */
import { createWriteStream } from 'node:fs';
import { link } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Logger } from '../log.ts';
import { calledFunction } from '../runs/calls/kinds.ts';
import { DATA_FOLDER, type MadeFile } from '../runs/calls/code-interpreter.ts';
import { codeIn } from '../runs/calls/written-code.ts';
import type { FileObject } from '../runs/file.ts';
import type { HostedReply, HostedRequest } from '../runs/hosted.ts';
import type { Engine } from './hosted.ts';
import { Outlet } from './outlet.ts';
import { ownFolder } from './own-folders.ts';

/** A file that code has made (sandbox/sandbox.ts). */
interface CodeFile {
  readonly path: string;
  readonly bytes: number;
  open(): Promise<{ createReadStream(): AsyncIterable<Uint8Array>; close(): Promise<void> }>;
}

type KernelSaid =
  | { readonly type: 'logs'; readonly logs: string }
  | { readonly type: 'image'; readonly image: CodeFile };

interface CodeKernel {
  run(
    code: string,
    options: { readonly signal: AbortSignal; readonly onOutput: (output: KernelSaid) => void },
  ): Promise<{ readonly status: string; readonly files: readonly CodeFile[] }>;
  close(): Promise<void>;
}

export interface CodeInterpreterOptions {
  /** Opens a kernel over a folder. */
  readonly open: (options: { readonly dataDir: string; readonly signal: AbortSignal }) => Promise<CodeKernel>;
  /** Why this server runs no code, where `open` was refused for that; null for other errors. */
  readonly refusal: (error: unknown) => string | null;
  /** A file of the project with its bytes; null where there is none. */
  readonly read: (
    project: string,
    id: string,
  ) => Promise<{ readonly file: FileObject; readonly chunks: AsyncIterable<Uint8Array> } | null>;
  /** Keeps a file that code has made. @returns its id */
  readonly keep: (project: string, name: string, chunks: AsyncIterable<Uint8Array>) => Promise<string>;
  /** The files are the thread's from now on: its next run finds them. */
  readonly give: (project: string, threadId: string, fileIds: readonly string[]) => Promise<void>;
  /** Removes a folder that code has written to. */
  readonly remove: (folder: string) => Promise<void>;
  readonly log: Logger;
}

/** Files that one call may leave. */
const MAX_FILES = 20;
/** Of a name in most file systems; a file with a longer one is found by its id. */
const MAX_NAME_BYTES = 255;
const MAX_FILE_BYTES = 256 * 1024 * 1024;

/** What a run has while it is executed. */
interface Workspace {
  readonly folder: string;
  kernel: CodeKernel | null;
  /** C1: the end of the call before. */
  last: Promise<unknown>;
}

export class CodeInterpreter {
  readonly #options: CodeInterpreterOptions;
  readonly #workspaces = new Map<string, Promise<Workspace>>();

  constructor(options: CodeInterpreterOptions) {
    this.#options = options;
  }

  readonly engine: Engine = (request, signal) => {
    const outlet = new Outlet<HostedReply>();
    this.#answer(request, signal, (reply) => outlet.say(reply)).then(
      () => outlet.end(),
      (error: unknown) => outlet.fail(error),
    );
    return outlet;
  };

  /** The execution of a run is over: its kernel ends, and its folder goes. */
  async ended(runId: string): Promise<void> {
    const opening = this.#workspaces.get(runId);
    // At once: the run may be executed again while this one is put away.
    this.#workspaces.delete(runId);
    const workspace = await opening?.catch(() => null);
    if (!workspace) return;
    await workspace.last.catch(() => {});
    await workspace.kernel?.close();
    await this.#options.remove(workspace.folder);
  }

  async #answer(
    request: HostedRequest,
    signal: AbortSignal,
    say: (reply: HostedReply) => void,
  ): Promise<void> {
    const { refusal, log } = this.#options;
    try {
      const workspace = await this.#workspace(request, signal);
      const turn = workspace.last
        .catch(() => {})
        .then(async () => this.#run(workspace, request, signal, say));
      workspace.last = turn;
      await turn;
    } catch (err) {
      signal.throwIfAborted();
      const why = refusal(err);
      if (why !== null) return say({ type: 'failure', message: why });
      log.error({ err, run_id: request.run.id }, 'code could not be run');
      say({ type: 'refusal', text: 'The code could not be run just now.' });
    }
  }

  async #run(
    workspace: Workspace,
    { call, run, asked: { project, threadId } }: HostedRequest,
    signal: AbortSignal,
    say: (reply: HostedReply) => void,
  ): Promise<void> {
    const code = codeIn(calledFunction(call).arguments);
    if (code.trim() === '') return say({ type: 'refusal', text: 'Write the code as {"code": "…"}.' });
    workspace.kernel ??= await this.#options.open({ dataDir: workspace.folder, signal });
    // Images are kept while the code goes on, and told in their place.
    let told: Promise<void> = Promise.resolve();
    const onOutput = (output: KernelSaid): void => {
      told = told.then(async () => {
        if (output.type === 'logs') return say({ type: 'output', output });
        const file_id = await this.#keep(project, output.image);
        say({ type: 'output', output: { type: 'image', image: { file_id } } });
      });
      // Waited for below.
      told.catch(() => {});
    };
    const { status, files } = await workspace.kernel.run(code, { signal, onOutput });
    await told;
    const kept = files.filter(({ bytes }) => bytes <= MAX_FILE_BYTES).slice(0, MAX_FILES);
    const made: MadeFile[] = [];
    for (const file of kept)
      made.push({ path: `${DATA_FOLDER}${file.path}`, file_id: await this.#keep(project, file) });
    const fileIds = made.map(({ file_id }) => file_id);
    if (fileIds.length > 0) await this.#options.give(project, threadId, fileIds);
    const left = files.length - kept.length;
    const note = left > 0 ? `${left} of the files were not kept: too many, or too large.` : undefined;
    this.#options.log.info({ run_id: run.id, call_id: call.id, status, files: made.length }, 'code was run');
    say({ type: 'answer', answer: { type: 'ran', files: made, ...(note !== undefined && { note }) } });
  }

  async #keep(project: string, file: CodeFile): Promise<string> {
    const handle = await file.open();
    try {
      return await this.#options.keep(project, basename(file.path), bounded(handle.createReadStream()));
    } finally {
      await handle.close().catch(() => {
        // Reading it to its end has closed it.
      });
    }
  }

  async #workspace(
    { run, resources, asked: { project } }: HostedRequest,
    signal: AbortSignal,
  ): Promise<Workspace> {
    const known = this.#workspaces.get(run.id);
    if (known !== undefined) return known;
    const opening = this.#open(project, resources.file_ids, signal);
    this.#workspaces.set(run.id, opening);
    opening.catch(() => {
      // The next call tries again.
      if (this.#workspaces.get(run.id) === opening) this.#workspaces.delete(run.id);
    });
    return opening;
  }

  /** C2 */
  async #open(project: string, fileIds: readonly string[], signal: AbortSignal): Promise<Workspace> {
    const folder = await ownFolder('code');
    try {
      const names = new Set<string>();
      for (const id of fileIds) {
        const found = await this.#options.read(project, id);
        if (found === null) continue;
        const { filename } = found.file;
        const isFree = !names.has(filename) && !fileIds.includes(filename);
        const own = isFree && Buffer.byteLength(filename) <= MAX_NAME_BYTES ? filename : id;
        names.add(own);
        await pipeline(found.chunks, createWriteStream(join(folder, own), { flags: 'wx' }), { signal });
        if (own !== id) await link(join(folder, own), join(folder, id));
      }
      return { folder, kernel: null, last: Promise.resolve() };
    } catch (error) {
      await this.#options.remove(folder);
      throw error;
    }
  }
}

/** Code may go on writing while its file is read. */
async function* bounded(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  let size = 0;
  for await (const chunk of chunks) {
    size += chunk.length;
    if (size > MAX_FILE_BYTES) throw new Error('a file of the code grew too large while it was read');
    yield chunk;
  }
}
