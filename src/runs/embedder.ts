/** A model that says what texts mean, as an index sees it. Types only. */

export interface Embedder {
  /** The model and its dimensions as one name: vectors of different spaces cannot be compared. */
  readonly space: string;

  /**
   * A vector for each text, all of the same length. None of the texts may be blank.
   * @throws {ModelError} when the model server refuses, or cannot answer after some tries.
   */
  embed(texts: readonly string[], signal: AbortSignal): Promise<readonly Float32Array[]>;
}
