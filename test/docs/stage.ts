/**
 * What the examples of one document are played on: the service as `npm start` has it, with the demo model, in a folder that holds
 * the tools of the document. Owns the folder, and the service of a document that has tools or settings, or counts what is there. All others share one.
 * A service starts when an example first needs it.
 */
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startDemoModel } from '../../src/model/demo.ts';
import { runProgram, type Ended } from '../clients/programs.ts';
import { startService, type Service } from '../support/service.ts';
import { REPOSITORY } from './blocks.ts';

const DEMO_KEY = 'key-of-the-demo-model';
/** Where documents say the service is. */
const PRINTED_ORIGINS = /https?:\/\/(?:127\.0\.0\.1:8080|HOST(?::8080)?)(?=[/'"])/g;

/** The service over the demo model. Owns both, once it has started. */
export class DemoService {
  readonly #redisUrl: string;
  readonly #stack = new AsyncDisposableStack();
  #starting: Promise<Service> | null = null;

  constructor(redisUrl: string) {
    this.#redisUrl = redisUrl;
  }

  /** @param env settings besides those of a default start; they count the first time */
  get(env: Readonly<Record<string, string>> = {}): Promise<Service> {
    this.#starting ??= this.#start(env);
    return this.#starting;
  }

  stop(): Promise<void> {
    return this.#stack.disposeAsync();
  }

  async #start(env: Readonly<Record<string, string>>): Promise<Service> {
    const demo = await startDemoModel({ port: 0, host: '127.0.0.1', apiKey: DEMO_KEY });
    this.#stack.defer(() => demo.stop());
    const service = await startService({
      redisUrl: this.#redisUrl,
      upstream: { baseUrl: demo.url },
      env: {
        OPENAI_API_KEY: DEMO_KEY,
        SECRET: 'made up by npm start',
        // On a busy machine the demo model is slow, too; what is said then is not what the documents show.
        FILLER_AFTER_MS: '60000',
        ...env,
      },
    });
    this.#stack.defer(() => service.stop());
    return service;
  }
}

export class Stage {
  readonly folder: string;
  readonly tools: string;
  /** Settings besides those of a default start. */
  readonly env: Record<string, string> = {};
  /** Whether its service must not have been asked for anything before, even where it is like that of other documents. */
  isAlone = false;
  /** What the last command printed, for the block behind it. */
  printed = '';
  readonly #shared: DemoService;
  readonly #own: DemoService;
  readonly #stack = new AsyncDisposableStack();

  private constructor(folder: string, redisUrl: string, shared: DemoService) {
    this.folder = folder;
    this.tools = join(folder, 'tools');
    this.#shared = shared;
    this.#own = new DemoService(redisUrl);
    this.defer(() => rm(folder, { recursive: true }));
    this.defer(() => this.#own.stop());
  }

  /** @param shared by the documents that have neither tools nor settings; whoever made it stops it */
  static async open(redisUrl: string, shared: DemoService): Promise<Stage> {
    const stage = new Stage(await mkdtemp(join(tmpdir(), 'longrun-docs-')), redisUrl, shared);
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

  async service(): Promise<Service> {
    const isPlain = Object.keys(this.env).length === 0 && (await readdir(this.tools)).length === 0;
    return isPlain && !this.isAlone
      ? this.#shared.get()
      : this.#own.get({ TOOL_FOLDERS: this.tools, ...this.env });
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
}
