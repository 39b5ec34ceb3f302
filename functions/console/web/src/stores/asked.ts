// What is asked for by several at once, and may be out of date by the time it comes.

/**
 * One look at a time. Who asks during a look gets the next one, which begins when it is over: what a look finds may be from before the change
 * that made somebody ask. `forget` ends it: what is found afterwards was for somebody else.
 */
export class Asked<Found> {
  private running: Promise<void> | null = null;
  private following: Promise<void> | null = null;
  private stop = new AbortController();
  /** Something was changed here since the look began. */
  private stale = false;

  constructor(
    private readonly find: (signal: AbortSignal) => Promise<Found>,
    private readonly take: (found: Found) => void,
  ) {}

  /** Raises what `find` raises, and AbortError if it was forgotten meanwhile. */
  look(): Promise<void> {
    if (this.running === null) return this.begin();
    const { signal } = this.stop;
    this.following ??= this.running
      .catch(() => undefined)
      .then(() => {
        signal.throwIfAborted();
        return this.begin();
      });
    return this.following;
  }

  /** Something was changed here: what is being looked for is looked for again, so that the change is not undone. */
  changed(): void {
    if (this.running === null) return;
    this.stale = true;
    this.look().catch(() => undefined);
  }

  forget(): void {
    this.stop.abort();
    this.stop = new AbortController();
    this.running = this.following = null;
  }

  private begin(): Promise<void> {
    const { signal } = this.stop;
    this.following = null;
    this.stale = false;
    const mine = this.find(signal)
      .then((found) => {
        signal.throwIfAborted();
        if (!this.stale) this.take(found);
      })
      .finally(() => {
        if (this.running === mine) this.running = null;
      });
    this.running = mine;
    return mine;
  }
}
