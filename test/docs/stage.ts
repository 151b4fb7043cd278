/**
 * What the examples of one document are played on: the service as `npm start` has it, with the demo model, in a folder that holds
 * the tools of the document. Owns the service, which starts when an example first needs it, and the folder.
 */
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startDemoModel } from '../../src/model/demo.ts';
import { runProgram, type Ended } from '../clients/programs.ts';
import { startService, type Service } from '../support/service.ts';
import { REPOSITORY } from './blocks.ts';

const DEMO_KEY = 'key-of-the-demo-model';
/** Where documents say the service is. */
const PRINTED_ORIGINS = /https?:\/\/(?:127\.0\.0\.1:8080|HOST(?::8080)?)(?=[/'"])/g;

export class Stage {
  readonly folder: string;
  readonly tools: string;
  /** Settings besides those of a default start. */
  readonly env: Record<string, string> = {};
  /** What the last command printed, for the block behind it. */
  printed = '';
  readonly #redisUrl: string;
  readonly #stack = new AsyncDisposableStack();
  #starting: Promise<Service> | null = null;

  private constructor(folder: string, redisUrl: string) {
    this.folder = folder;
    this.tools = join(folder, 'tools');
    this.#redisUrl = redisUrl;
    this.defer(() => rm(folder, { recursive: true }));
  }

  static async open(redisUrl: string): Promise<Stage> {
    const stage = new Stage(await mkdtemp(join(tmpdir(), 'longrun-docs-')), redisUrl);
    await mkdir(stage.tools);
    // For programs that import the SDK.
    await symlink(join(REPOSITORY, 'node_modules'), join(stage.folder, 'node_modules'));
    return stage;
  }

  /** Something to be undone when all is over; the last is the first. */
  defer(undo: () => Promise<unknown>): void {
    this.#stack.defer(async () => {
      await undo();
    });
  }

  close(): Promise<void> {
    return this.#stack.disposeAsync();
  }

  /** @returns its path. */
  async write(name: string, text: string): Promise<string> {
    const path = join(this.folder, name);
    await writeFile(path, text);
    return path;
  }

  service(): Promise<Service> {
    this.#starting ??= this.#start();
    return this.#starting;
  }

  /** The text with the service's address in the place of those that are printed. */
  async addressed(text: string): Promise<string> {
    return text.replaceAll(PRINTED_ORIGINS, (await this.service()).url);
  }

  /** Types a command into a shell. */
  async type(command: string): Promise<Ended> {
    const ended = await runProgram('bash', ['-c', await this.addressed(command)], { cwd: this.folder });
    this.printed = ended.stdout;
    return ended;
  }

  async #start(): Promise<Service> {
    const demo = await startDemoModel({ port: 0, host: '127.0.0.1', apiKey: DEMO_KEY });
    this.defer(() => demo.stop());
    const service = await startService({
      redisUrl: this.#redisUrl,
      upstream: { baseUrl: demo.url },
      env: {
        OPENAI_API_KEY: DEMO_KEY,
        SECRET: 'made up by npm start',
        TOOL_FOLDERS: this.tools,
        // On a busy machine the demo model is slow, too; what is said then is not what the documents show.
        FILLER_AFTER_MS: '60000',
        ...this.env,
      },
    });
    this.defer(() => service.stop());
    return service;
  }
}
