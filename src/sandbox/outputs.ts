/** What a call puts out, in its order and within its limits. */
import { fileIn } from './files.ts';
import { MAX_IMAGES, MAX_LOG_BYTES } from './protocol.ts';
import type { KernelOutput } from './sandbox.ts';

const CUT = `\n[The logs of a call are cut at ${MAX_LOG_BYTES / 1024} kB.]\n`;

export class CallOutputs {
  readonly #images: string;
  readonly #onOutput: (output: KernelOutput) => void;
  readonly #all: KernelOutput[] = [];
  #bytes = 0;
  #imageCount = 0;
  /** Opening an image takes a moment, in which nothing may overtake it. */
  #last: Promise<void> = Promise.resolve();

  constructor(images: string, onOutput: (output: KernelOutput) => void) {
    this.#images = images;
    this.#onOutput = onOutput;
  }

  /** Text that code has written; cut at the limit. */
  addLogs(text: string): void {
    if (this.#bytes > MAX_LOG_BYTES || text === '') return;
    const bytes = Buffer.from(text);
    const room = MAX_LOG_BYTES - this.#bytes;
    this.#bytes += bytes.length;
    this.#put(bytes.length <= room ? text : beginning(bytes, room) + CUT);
  }

  /** A sentence of ours, in a line of its own; within no limit. */
  addNote(sentence: string): void {
    this.#put(`[${sentence}]\n`);
  }

  /** A picture in the kernel's folder of images. */
  addImage(name: string): void {
    this.#imageCount += 1;
    if (this.#imageCount > MAX_IMAGES || name.includes('/')) return;
    this.#then(async () => {
      const image = await fileIn(this.#images, name);
      if (image !== null) this.#add({ type: 'image', image });
    });
  }

  /** All of it; logs that follow each other are one. */
  async all(): Promise<readonly KernelOutput[]> {
    await this.#last;
    return this.#all;
  }

  #put(logs: string): void {
    this.#then(() => this.#add({ type: 'logs', logs }));
  }

  #then(work: () => void | Promise<void>): void {
    this.#last = this.#last.then(work);
    // Whoever asks for all hears of it.
    this.#last.catch(() => {});
  }

  #add(output: KernelOutput): void {
    const before = this.#all.at(-1);
    if (output.type === 'logs' && before?.type === 'logs')
      this.#all[this.#all.length - 1] = { type: 'logs', logs: before.logs + output.logs };
    else this.#all.push(output);
    this.#onOutput(output);
  }
}

/** The first bytes as text, without half a character at the end. */
function beginning(bytes: Buffer, length: number): string {
  return new TextDecoder().decode(bytes.subarray(0, length), { stream: true });
}
