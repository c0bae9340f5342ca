// The page: lists what the catalogue has, plays it, and shows how well it plays.

import shaka from "shaka-player";
import { ask, type Asset, type Page } from "./api";
import "./style.css";

const element = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T;
const video = element<HTMLVideoElement>("video");
const message = element("message");

let page: Page = { title: "StreamVerse", delivery: "" };
let assets: Asset[] = [];
let chosen: string | undefined;
let stalls = 0;
let startup: number | undefined;
let began = 0;
/** Between two attempts to reach an edge that went away. */
const RETRY_MS = 2000;

shaka.polyfill.installAll();
const player = new shaka.Player();
// Tests read what happens here; nobody writes.
Object.assign(window, { streamverse: { player, video, facts: () => ({ stalls, startup, chosen }) } });

function say(text: string, bad = false): void {
  message.textContent = text;
  message.classList.toggle("bad", bad);
}

function protocol(): string {
  return document.querySelector<HTMLInputElement>('input[name="protocol"]:checked')?.value ?? "hls";
}

async function play(name: string): Promise<void> {
  chosen = name;
  stalls = 0;
  startup = undefined;
  began = performance.now();
  list();
  const manifest = protocol() === "dash" ? "dash.mpd" : "hls.m3u8";
  const asset = assets.find((it) => it.name === name);
  say(`Loading ${asset?.title ?? name} …`);
  try {
    await player.load(`${page.delivery}/vod/${name}/${manifest}`);
    if (chosen !== name) return;
    await video.play().catch(() => say("Press play to begin."));
  } catch (error) {
    if (chosen !== name) return;
    const code = error instanceof shaka.util.Error ? `${error.category}.${error.code}` : String(error);
    say(`${asset?.title ?? name} cannot be played (${code}). Is the edge reachable at ${page.delivery}?`, true);
  }
}

function facts(): void {
  const stats = player.getStats();
  const ahead = player.getBufferedInfo().total.find((it) => it.start <= video.currentTime && it.end >= video.currentTime);
  const known: [string, string][] = [
    ["Picture", stats.width ? `${stats.width} × ${stats.height}` : "–"],
    ["Bit rate", stats.streamBandwidth ? `${(stats.streamBandwidth / 1e6).toFixed(2)} Mbit/s` : "–"],
    ["Startup", startup === undefined ? "–" : `${Math.round(startup)} ms`],
    ["Stalls", String(stalls)],
    ["Buffer", ahead ? `${(ahead.end - video.currentTime).toFixed(1)} s` : "–"],
    ["Frames lost", String(stats.droppedFrames || 0)],
  ];
  const list = element("facts");
  list.replaceChildren(
    ...known.map(([name, value]) => {
      const box = document.createElement("div");
      const term = document.createElement("dt");
      const text = document.createElement("dd");
      term.textContent = name;
      text.textContent = value;
      box.append(term, text);
      return box;
    }),
  );
  const tracks = player.getVariantTracks().sort((a, b) => (b.height ?? 0) - (a.height ?? 0));
  element("renditions").replaceChildren(
    ...tracks.map((track) => {
      const item = document.createElement("li");
      item.textContent = `${track.height ?? "sound"}${track.height ? " lines" : ""}, ${(track.bandwidth / 1e6).toFixed(1)} Mbit/s`;
      item.classList.toggle("active", track.active);
      return item;
    }),
  );
}

function list(): void {
  const items = assets.map((asset) => {
    const item = document.createElement("li");
    const button = document.createElement("button");
    const small = document.createElement("small");
    const seconds = Math.round(asset.duration_ms / 1000);
    const heights = asset.renditions.filter((it) => it.kind === "video").map((it) => it.height);
    small.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")} · up to ${Math.max(0, ...heights)} lines${asset.subtitles.length ? ` · ${asset.subtitles.join(", ")}` : ""}`;
    button.append(asset.title, small);
    button.setAttribute("aria-pressed", String(asset.name === chosen));
    button.addEventListener("click", () => void play(asset.name));
    item.append(button);
    return item;
  });
  element("assets").replaceChildren(...items);
}

async function refresh(): Promise<void> {
  try {
    const found = await ask<Asset[]>("/api/assets.json");
    if (JSON.stringify(found) !== JSON.stringify(assets)) {
      assets = found;
      list();
    }
    if (!assets.length) say("Nothing is published yet. It appears here when it is.");
    else if (!chosen && assets[0]) await play(assets[0].name);
  } catch (error) {
    say(`The catalogue cannot be read: ${String(error)}`, true);
  }
  try {
    const services = await ask<Record<string, boolean>>("/api/health.json");
    const items = Object.entries(services).map(([name, good]) => {
      const item = document.createElement("li");
      item.textContent = `${name} ${good ? "serves" : "does not answer"}`;
      item.classList.toggle("good", good);
      return item;
    });
    element("health").replaceChildren(...items);
  } catch {
    element("health").replaceChildren();
  }
}

async function begin(): Promise<void> {
  page = await ask<Page>("/api/page.json");
  document.title = page.title;
  element("title").textContent = page.title;
  await player.attach(video);
  player.configure({ abr: { enabled: true }, streaming: { bufferingGoal: 20 } });
  player.addEventListener("error", (event) => {
    const detail = (event as unknown as { detail?: shaka.util.Error }).detail;
    const code = detail ? `${detail.category}.${detail.code}` : "unknown";
    // What was loaded goes on; an edge that comes back within minutes is found again without anybody's doing.
    if (detail?.category === shaka.util.Error.Category.NETWORK && video.readyState > 0) {
      say(`The edge does not answer (${code}). Trying again …`, true);
      setTimeout(() => player.retryStreaming(0), RETRY_MS);
      return;
    }
    say(`Playback ended: ${code}. Is the edge reachable?`, true);
  });
  video.addEventListener("playing", () => {
    startup ??= performance.now() - began;
    say(`Playing ${assets.find((it) => it.name === chosen)?.title ?? ""} over ${protocol().toUpperCase()}.`);
  });
  video.addEventListener("waiting", () => {
    if (startup !== undefined && !video.seeking) {
      stalls += 1;
      say("Waiting for the network …");
    }
  });
  element("protocol").addEventListener("change", () => {
    if (chosen) void play(chosen);
  });
  await refresh();
  setInterval(() => void refresh(), 3000);
  setInterval(facts, 500);
}

begin().catch((error: unknown) => say(`The page cannot begin: ${String(error)}`, true));
