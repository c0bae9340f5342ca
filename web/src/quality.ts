// How well it plays: time to the first picture, stalls, and how much of the time was spent in them.

export class Quality {
  stalls = 0;
  /** Milliseconds to the first picture. */
  startup: number | undefined;
  private began = performance.now();
  private stalled = 0;
  private stalledSince: number | undefined;
  private played = 0;
  private playingSince: number | undefined;

  constructor(video: HTMLVideoElement) {
    video.addEventListener("playing", () => {
      const now = performance.now();
      this.startup ??= now - this.began;
      if (this.stalledSince !== undefined) this.stalled += now - this.stalledSince;
      this.stalledSince = undefined;
      this.playingSince ??= now;
    });
    video.addEventListener("waiting", () => {
      this.pause();
      // What comes before the first picture is startup, and a viewer who seeks expects to wait.
      if (this.startup === undefined || video.seeking) return;
      this.stalls += 1;
      this.stalledSince ??= performance.now();
    });
    for (const end of ["pause", "ended", "emptied"]) video.addEventListener(end, () => this.pause());
  }

  /** Something else is played from now on. */
  begin(): void {
    this.stalls = 0;
    this.startup = undefined;
    this.began = performance.now();
    this.stalled = 0;
    this.stalledSince = undefined;
    this.played = 0;
    this.playingSince = undefined;
  }

  /** Milliseconds that were played, and that were stalled. */
  times(): { played: number; stalled: number } {
    const now = performance.now();
    const since = (begin: number | undefined) => (begin === undefined ? 0 : now - begin);
    return { played: this.played + since(this.playingSince), stalled: this.stalled + since(this.stalledSince) };
  }

  /** Stalled time to played time; none before anything was played. */
  rebuffer(): number | undefined {
    const { played, stalled } = this.times();
    return played > 0 ? stalled / played : undefined;
  }

  private pause(): void {
    if (this.playingSince !== undefined) this.played += performance.now() - this.playingSince;
    this.playingSince = undefined;
  }
}
