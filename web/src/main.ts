// The page: lists channels and videos, plays them, and shows how well they play.

import shaka from "shaka-player";
import { ask, type Asset, type Named, type NowNext, type PackageIndex, type Page } from "./api";
import { type Denial, Licences } from "./licence";
import { Quality } from "./quality";
import { choices, clock, element, lines, terms } from "./view";
import "./style.css";

/** What can be chosen: a channel or a video. */
interface Item extends Named {
  channel: boolean;
}

const video = element<HTMLVideoElement>("video");
const message = element("message");
/** What is no programme, in words. */
const WHAT: Record<string, string> = { ad: "Advertisement: ", slate: "We are right back: " };
/** Between two attempts to reach an edge that went away. */
const RETRY_MS = 2000;
/** Three of the longest usual segments. */
const BEHIND_S = 18;
/** Of one item. */
const MOST_FAULTS = 20;

let page: Page = { title: "StreamVerse", delivery: "", channels: [], licence: null };
let assets: Asset[] = [];
/** Whether a generation of a video is encrypted, as its index says. */
const encrypted = new Map<string, boolean>();
let chosen: Item | undefined;
let guide: NowNext | undefined;
let denial: Denial | undefined;
/** How often the player failed by itself at this item. */
let faults = 0;

shaka.polyfill.installAll();
const player = new shaka.Player();
const quality = new Quality(video);
let licences: Licences;
const facts = () => ({
  stalls: quality.stalls, faults, startup: quality.startup, rebuffer: quality.rebuffer(), ...quality.times(), chosen: chosen?.name,
  keys: Object.fromEntries(licences.keys()), denial: denial?.code,
});

function say(text: string, bad = false): void {
  message.textContent = text;
  message.classList.toggle("bad", bad);
}

const address = (asset: Asset) => `${page.delivery}/vod/${asset.name}/${asset.generation}`;
const isEncrypted = (asset: Asset) => encrypted.get(address(asset)) ?? false;

/** How an item is played: what is encrypted on demand by DASH only, for its HLS is for systems of vendors. */
function protocol(item: Item): string {
  const asked = document.querySelector<HTMLInputElement>('input[name="protocol"]:checked')?.value ?? "hls";
  const asset = item.channel ? undefined : assets.find((it) => it.name === item.name);
  return asset && isEncrypted(asset) ? "dash" : asked;
}

async function play(item: Item): Promise<void> {
  chosen = item;
  guide = undefined;
  denial = undefined;
  faults = 0;
  quality.begin();
  list();
  const how = protocol(item);
  licences.prepare(how);
  say(`Loading ${item.title} …`);
  void look();
  const manifest = how === "dash" ? "dash.mpd" : "hls.m3u8";
  try {
    await player.load(`${page.delivery}/${item.channel ? "channel" : "vod"}/${item.name}/${manifest}`);
    if (chosen !== item) return;
    await video.play().catch(() => denial ?? say("Press play to begin."));
  } catch (error) {
    if (chosen !== item || denial) return;
    say(`${item.title} cannot be played. ${why(error)}`, true);
  }
}

/** A failure in words. */
function why(error: unknown): string {
  if (!(error instanceof shaka.util.Error)) return `${String(error)}.`;
  const code = `${error.category}.${error.code}`;
  const encrypted = error.category === shaka.util.Error.Category.DRM;
  return encrypted ? `It is encrypted, and ${licences.unable() ?? "the browser cannot decrypt it"} (${code}).` : `Is the edge reachable at ${page.delivery} (${code})?`;
}

/** A licence was refused: nothing more is fetched that could not be shown. */
function refused(told: Denial): void {
  denial = told;
  licences.stop();
  say(`No licence for ${chosen?.title ?? "this"}: ${told.words}`, true);
  void player.unload();
}

function figures(): void {
  const stats = player.getStats();
  const ahead = player.getBufferedInfo().total.find((it) => it.start <= video.currentTime && it.end >= video.currentTime);
  const { startup, stalls } = quality;
  const rebuffer = quality.rebuffer();
  terms(element("facts"), [
    ["Picture", stats.width ? `${stats.width} × ${stats.height}` : "–"],
    ["Bit rate", stats.streamBandwidth ? `${(stats.streamBandwidth / 1e6).toFixed(2)} Mbit/s` : "–"],
    ["Startup", startup === undefined ? "–" : `${Math.round(startup)} ms`],
    ["Stalls", String(stalls)],
    ["Rebuffer ratio", rebuffer === undefined ? "–" : `${(rebuffer * 100).toFixed(2)} %`],
    ["Buffer", ahead ? `${(ahead.end - video.currentTime).toFixed(1)} s` : "–"],
    ["Frames lost", String(stats.droppedFrames || 0)],
  ]);
  const tracks = player.getVariantTracks().sort((a, b) => (b.height ?? 0) - (a.height ?? 0));
  const rendition = (track: shaka.extern.Track) => `${track.height ?? "sound"}${track.height ? " lines" : ""}, ${(track.bandwidth / 1e6).toFixed(1)} Mbit/s`;
  lines(element("renditions"), tracks.map((track) => ({ text: rendition(track), mark: track.active ? "active" : undefined })));
  // Those of what is seen are marked; the others are of what was before, or comes. A viewer sees what was live some seconds ago.
  const seen = player.getPlayheadTimeAsDate()?.getTime() ?? Date.now();
  const item = guide?.items?.find((it) => Date.parse(it.start) <= seen && seen < Date.parse(it.end)) ?? guide?.now;
  const now = new Set(item?.kids?.map((kid) => kid.replaceAll("-", "").toLowerCase()));
  const licensed = licences.keys().map(([kid, status]) => ({ text: `Key ${kid}: ${status}`, mark: now.has(kid) ? "active" : undefined }));
  lines(element("keys"), licensed);
}

function list(): void {
  const choice = (item: Item, about: string) => ({
    title: item.title, about, pressed: item.name === chosen?.name && item.channel === chosen.channel, choose: () => void play(item),
  });
  element("channels-title").hidden = !page.channels.length;
  element("assets-title").hidden = !page.channels.length || !assets.length;
  choices(element("channels"), page.channels.map((it) => choice({ ...it, channel: true }, "live, around the clock")));
  choices(
    element("assets"),
    assets.map((asset) => {
      const seconds = Math.round(asset.duration_ms / 1000);
      const heights = asset.renditions.filter((it) => it.kind === "video").map((it) => it.height);
      const length = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
      const about = [length, `up to ${Math.max(0, ...heights)} lines`, ...asset.subtitles, ...(isEncrypted(asset) ? ["encrypted, by DASH only"] : [])];
      return choice({ ...asset, channel: false }, about.join(" · "));
    }),
  );
}

/** Asks for what is on. */
async function look(): Promise<void> {
  const item = chosen;
  const box = element("guide");
  box.hidden = !item?.channel;
  if (!item?.channel) return;
  try {
    const found = await ask<NowNext>(`${page.delivery}/channel/${item.name}/now.json`);
    if (chosen === item) guide = found;
  } catch {
    // What was known stays; that the edge does not answer is told by the player.
  }
  if (!guide) return;
  const line = (it: NowNext["now"]) => (it ? `${WHAT[it.kind] ?? ""}${it.title}, ${clock(new Date(it.start))} – ${clock(new Date(it.end))}` : "–");
  terms(box, [["Now", line(guide.now)], ["Next", line(guide.next)]]);
}

/** Finds out which videos are encrypted, once for each generation. */
async function classify(): Promise<void> {
  if (!page.licence) return;
  const unknown = assets.filter((asset) => !encrypted.has(address(asset)));
  await Promise.all(
    unknown.map(async (asset) => {
      const index = await ask<PackageIndex>(`${address(asset)}/index.json`).catch(() => undefined);
      if (index) encrypted.set(address(asset), Boolean(index.protection));
    }),
  );
}

async function refresh(): Promise<void> {
  try {
    assets = await ask<Asset[]>("/api/assets.json");
    await classify();
    list();
    const items: Item[] = [...page.channels.map((it) => ({ ...it, channel: true })), ...assets.map((it) => ({ ...it, channel: false }))];
    if (!items.length) say("Nothing is published yet. It appears here when it is.");
    else if (!chosen && items[0]) await play(items[0]);
  } catch (error) {
    say(`The catalogue cannot be read: ${String(error)}`, true);
  }
  await look();
  try {
    const services = await ask<Record<string, boolean>>("/api/health.json");
    const known = Object.entries(services).map(([name, good]) => ({ text: `${name} ${good ? "serves" : "does not answer"}`, mark: good ? "good" : undefined }));
    lines(element("health"), known);
  } catch {
    lines(element("health"), []);
  }
}

/** Lets the viewer be another demo account. */
function viewers(): void {
  const accounts = page.licence?.accounts ?? [];
  const select = element<HTMLSelectElement>("account");
  element("viewer").hidden = accounts.length < 2;
  select.replaceChildren(...accounts.map((it) => new Option(it.title, it.name, false, it.name === licences.account)));
  select.addEventListener("change", () => {
    licences.account = select.value;
    const url = new URL(location.href);
    url.searchParams.set("account", select.value);
    history.replaceState(null, "", url);
    if (chosen) void play(chosen);
  });
}

async function begin(): Promise<void> {
  page = await ask<Page>("/api/page.json");
  document.title = page.title;
  element("title").textContent = page.title;
  await player.attach(video);
  // A channel is watched so many seconds behind what it announced last: as much can be loaded ahead, and plays while something
  // that serves it is started anew. What channels themselves ask for is three segments.
  const behind = { defaultPresentationDelay: BEHIND_S, dash: { ignoreSuggestedPresentationDelay: true } };
  player.configure({ abr: { enabled: true }, streaming: { bufferingGoal: 20 }, manifest: behind });
  licences = new Licences(player, page, refused);
  // Tests read what happens here; nobody writes.
  Object.assign(window, { streamverse: { player, video, licences, facts } });
  viewers();
  player.addEventListener("error", (event) => {
    if (denial) return;
    const detail = (event as unknown as { detail?: shaka.util.Error }).detail;
    // A fault of the player itself: Shaka 5.2 drops its place when a rendition is switched between two of its own steps
    // ("null (reading 'next')" of StreamingEngine), and finds it again when asked.
    if (!(detail instanceof shaka.util.Error) && faults < MOST_FAULTS) {
      faults += 1;
      player.retryStreaming(0);
      return;
    }
    // What was loaded goes on; an edge that comes back within minutes is found again without anybody's doing.
    if (detail?.category === shaka.util.Error.Category.NETWORK && video.readyState > 0) {
      say(`The edge does not answer (${detail.category}.${detail.code}). Trying again …`, true);
      setTimeout(() => player.retryStreaming(0), RETRY_MS);
      return;
    }
    say(`Playback ended. ${why(detail)}`, true);
  });
  video.addEventListener("playing", () => {
    if (chosen) say(`Playing ${chosen.title} over ${protocol(chosen).toUpperCase()}.`);
  });
  video.addEventListener("waiting", () => {
    if (quality.startup !== undefined && !video.seeking) say("Waiting for the network …");
  });
  element("protocol").addEventListener("change", () => {
    if (chosen) void play(chosen);
  });
  await refresh();
  setInterval(() => void refresh(), 3000);
  setInterval(figures, 500);
}

begin().catch((error: unknown) => say(`The page cannot begin: ${String(error)}`, true));
