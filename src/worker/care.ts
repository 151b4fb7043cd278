/** What is looked after beside the sweep: begun by it, and never waited for, because it may take long. */
export abstract class Care {
  #underWay: Promise<void> | null = null;
  #isStopped = false;

  /** Begins to look after it, unless that is under way. */
  begin(): void {
    if (this.#isStopped) return;
    this.#underWay ??= this.care().finally(() => (this.#underWay = null));
  }

  /** Waits for what is under way. */
  async idle(): Promise<void> {
    await this.#underWay;
  }

  /** Stops what is under way as soon as it can, and waits for that. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#underWay;
  }

  /** Whether what is under way is to end. */
  protected get isStopped(): boolean {
    return this.#isStopped;
  }

  /** Does what is due. What it meets it tells itself, and never throws. */
  protected abstract care(): Promise<void>;
}
