/** Numbers the frames of a stream, and writes those that its client does not have yet. */

/** How a frame is written. @param data its object as JSON; null for what ends the stream */
export type FrameForm = (type: string, data: string | null) => string;

/** As an event of an event stream. */
export const sseFrame: FrameForm = (type, data) =>
  data === null ? 'data: [DONE]\n\n' : `event: ${type}\ndata: ${data}\n\n`;

export class FrameWriter {
  readonly #startingAfter: number;
  readonly #form: FrameForm;
  #number = 0;

  /** @param startingAfter the number of the last frame that the client has; -1 for none, Infinity where nobody reads any */
  constructor(startingAfter: number, form: FrameForm) {
    this.#startingAfter = startingAfter;
    this.#form = form;
  }

  write(type: string, data: Readonly<Record<string, unknown>>): string {
    return this.#isKnown()
      ? ''
      : this.#numbered(type, `{"type":"${type}",${JSON.stringify(data).slice(1, -1)}`);
  }

  /**
   * A frame of a fragment, written by hand because there is one for every token.
   * @param head its JSON up to the text, and `rest` after that
   */
  writeText(type: string, head: string, text: string, rest: string): string {
    return this.#isKnown() ? '' : this.#numbered(type, `${head}${JSON.stringify(text)}${rest}`);
  }

  end(): string {
    return this.#startingAfter === Infinity ? '' : this.#form('', null);
  }

  /** Whether the client has the next frame, or wants none. */
  #isKnown(): boolean {
    this.#number += 1;
    return this.#number - 1 <= this.#startingAfter;
  }

  /** @param data without its end */
  #numbered(type: string, data: string): string {
    return this.#form(type, `${data},"sequence_number":${this.#number - 1}}`);
  }
}

/** The fields of a fragment's frame before its words, as the beginning of JSON. */
export function deltaHead(type: string, id: string, index: number): string {
  return `{"type":"${type}","item_id":${JSON.stringify(id)},"output_index":${index},"content_index":0,"delta":`;
}

/** What ends a stream that breaks off: the flat form of this API, which its helpers raise. */
export const BROKEN_OFF = `event: error\ndata: ${JSON.stringify({
  type: 'error',
  code: 'server_error',
  message: 'The stream broke off. The response goes on where it is stored; retrieve it to see how it ends.',
  param: null,
})}\n\n`;
