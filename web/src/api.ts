// What the player service and a channel answer.

/** Something with a name for addresses and a title for people. */
export interface Named {
  name: string;
  title: string;
}

export interface Page {
  title: string;
  delivery: string;
  channels: Named[];
  licence: { url: string; accounts: Named[] } | null;
}

export interface Rendition {
  name: string;
  kind: string;
  codecs: string;
  bit_rate: number;
  width: number;
  height: number;
}

export interface Asset {
  name: string;
  generation: string;
  title: string;
  duration_ms: number;
  renditions: Rendition[];
  subtitles: string[];
}

/** `index.json` beside a package, as far as the page needs it. */
export interface PackageIndex {
  protection?: { scheme: string; systems: string[] } | null;
}

/** A programme of a channel. */
export interface Programme {
  title: string;
  /** `programme`, `ad`, `filler` or `slate`. */
  kind: string;
  start: string;
  end: string;
  /** What its pictures and sound are encrypted with. */
  kids?: string[];
}

/** `now.json` of a channel. */
export interface NowNext {
  now: Programme | null;
  next: Programme | null;
  /** What plays piece by piece: each has keys of its own. */
  items: Programme[];
}

export interface Token {
  token: string;
  account: string;
}

export async function ask<T>(path: string): Promise<T> {
  const answer = await fetch(path, { signal: AbortSignal.timeout(5000) });
  if (!answer.ok) throw new Error(`${path} answered ${answer.status}`);
  return (await answer.json()) as T;
}
