// What the player service answers.

export interface Page {
  title: string;
  delivery: string;
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

export async function ask<T>(path: string): Promise<T> {
  const answer = await fetch(path, { signal: AbortSignal.timeout(5000) });
  if (!answer.ok) throw new Error(`${path} answered ${answer.status}`);
  return (await answer.json()) as T;
}
