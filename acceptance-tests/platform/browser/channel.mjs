// Watches a channel as strangers do for some seconds: HLS by the npm package hls-parser, DASH by mpd-parser. Every segment that
// is shown is asked for once. Prints one JSON object of what was seen; judging it is the test's.
//
// node channel.mjs ADDRESS SECONDS FOLDER
// ADDRESS: http://HOST:PORT/channel/NAME. FOLDER: where the pictures of each DASH period are put, as one file.

import { createRequire } from "node:module";
import { appendFileSync, existsSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));
const require = createRequire(path.join(here, "../../../web/package.json"));
const HLS = require("hls-parser");
const MPD = require("mpd-parser");
const [base, seconds, folder] = process.argv.slice(2);

const faults = [];
const statuses = {};
const fault = (text) => faults.length < 50 && faults.push(text);
async function ask(address) {
  try {
    const answer = await fetch(address, { signal: AbortSignal.timeout(10000) });
    const bytes = Buffer.from(await answer.arrayBuffer());
    statuses[answer.status] = (statuses[answer.status] ?? 0) + 1;
    return { status: answer.status, url: answer.url, bytes };
  } catch (error) {
    statuses[String(error.cause?.code ?? error.name)] = (statuses[String(error.cause?.code ?? error.name)] ?? 0) + 1;
    return { status: 0, url: address, bytes: Buffer.alloc(0) };
  }
}
// Segments are asked for beside the playlists, each once; one that does not come is asked for again.
const asked = new Map();
let open = 0;
async function segment(address, keep) {
  if (asked.has(address)) return asked.get(address);
  const loading = (async () => {
    open += 1;
    for (let turn = 0; turn < 5; turn += 1) {
      const { status, bytes } = await ask(address);
      if (status === 200) {
        open -= 1;
        return keep ? bytes : bytes.length;
      }
      await new Promise((done) => setTimeout(done, 300));
    }
    open -= 1;
    fault(`${address} does not come`);
    return keep ? Buffer.alloc(0) : 0;
  })();
  asked.set(address, loading);
  return loading;
}

const absolute = (uri, of) => new URL(uri, of).href;
const master = await ask(`${base}/hls.m3u8`);
const tree = HLS.parse(master.bytes.toString("utf8"));
const variant = tree.variants[0];
const lists = [variant.uri, ...variant.audio.map((it) => it.uri), ...variant.subtitles.map((it) => it.uri)];
const seen = new Map(lists.map((uri) => [uri, { segments: new Map(), last: -1, first: -1, dsn: -1, changes: 0, splices: new Map() }]));

function look(uri, list, of) {
  const known = seen.get(uri);
  const segments = list.segments;
  if (list.endlist) fault(`${uri} ended`);
  if (list.mediaSequenceBase < known.first || (list.discontinuitySequenceBase ?? 0) < known.dsn) fault(`${uri} went back`);
  const last = list.mediaSequenceBase + segments.length - 1;
  if (last < known.last) fault(`${uri} went back from ${known.last} to ${last}`);
  if (known.last >= 0 && list.mediaSequenceBase > known.last + 1) fault(`${uri} passed over segments`);
  if (last > known.last && known.last >= 0) known.changes += 1;
  Object.assign(known, { first: list.mediaSequenceBase, last, dsn: list.discontinuitySequenceBase ?? 0 });
  segments.forEach((it, at) => {
    const msn = list.mediaSequenceBase + at;
    const text = `${it.uri} ${it.duration} ${it.map?.uri}`;
    const before = known.segments.get(msn);
    if (before && before !== text) fault(`${uri}: segment ${msn} changed from ${before} to ${text}`);
    known.segments.set(msn, text);
    if (Math.round(it.duration) > list.targetDuration) fault(`${uri}: segment ${msn} is longer than the target`);
    if (at > 0 && it.map?.uri !== segments[at - 1].map?.uri && !it.discontinuity) fault(`${uri}: ${msn} has another init segment without a discontinuity`);
    if (uri === variant.uri) void segment(absolute(it.uri, of));
    if (it.map) void segment(absolute(it.map.uri, of), true);
  });
}

const periods = new Map();
// Messages of DASH's event streams, by their text: which way, and how long they say that a break is.
const events = new Map();
let published = "";
// hls-parser 0.16.1 looks for content steering and pathways under names that no specification has.
const attribute = (name) => new RegExp(`,${name}="([^"]+)"`).exec(master.bytes.toString("utf8"))?.[1] ?? "";
const steering = {
  hls: /#EXT-X-CONTENT-STEERING:SERVER-URI="([^"]+)"/.exec(master.bytes.toString("utf8"))?.[1] ?? "",
  pathway: attribute("PATHWAY-ID"),
  variants: tree.variants.map((it) => it.stableVariantId),
};
async function manifest() {
  const { status, bytes, url } = await ask(`${base}/dash.mpd`);
  if (status !== 200) return;
  const text = bytes.toString("utf8");
  const now = /publishTime="([^"]+)"/.exec(text)[1];
  if (now < published) fault(`publishTime went back from ${published} to ${now}`);
  published = now;
  for (const [, stream] of text.matchAll(/<EventStream schemeIdUri="urn:scte:scte35:2014:xml\+bin" timescale="1000">(.*?)<\/EventStream>/gs)) {
    for (const [, fields, binary] of stream.matchAll(/<Event ([^>]*)><Signal xmlns="http:\/\/www\.scte\.org\/schemas\/35\/2016"><Binary>([^<]+)<\/Binary>/g)) {
      const duration = / duration="(\d+)"/.exec(fields)?.[1];
      events.set(binary, { which: duration ? "OUT" : "IN", message: binary, ms: Number(duration ?? 0) });
    }
  }
  const read = MPD.parse(text, { manifestUri: url });
  steering.dash = read.contentSteering;
  for (const part of read.playlists[0].segments) {
    const address = absolute(part.resolvedUri, url);
    const period = /\/vod\/([^/]+)\//.exec(address)[1];
    const all = periods.get(part.timeline) ?? { asset: period, segments: new Map() };
    all.segments.set(address, absolute(part.map.resolvedUri, url));
    periods.set(part.timeline, all);
  }
}

const until = Date.now() + Number(seconds) * 1000;
while (Date.now() < until) {
  for (const uri of lists) {
    const address = absolute(uri, master.url);
    const { status, bytes, url } = await ask(address);
    if (status !== 200) continue;
    const text = bytes.toString("utf8");
    for (const [, which, hex] of text.matchAll(/SCTE35-(OUT|IN)=(0x[0-9A-F]+)/g)) seen.get(uri).splices.set(hex, which);
    look(uri, HLS.parse(text), url);
  }
  await manifest();
  await new Promise((done) => setTimeout(done, 250));
}
while (open) await new Promise((done) => setTimeout(done, 100));
const files = [];
let number = 0;
for (const { asset, segments } of periods.values()) {
  const file = path.join(folder, `period-${number}-${asset}.mp4`);
  number += 1;
  for (const [address, init] of segments) {
    if (!existsSync(file)) writeFileSync(file, await segment(init, true));
    appendFileSync(file, (await ask(address)).bytes);
  }
  files.push({ file, asset, segments: segments.size });
}
const told = [...seen].map(([uri, it]) => ({ uri, changes: it.changes, last: it.last, segments: it.segments.size, numbers: [...it.segments.keys()].sort((a, b) => a - b) }));
const assets = [...new Set([...seen.get(variant.uri).segments.values()].map((it) => /\/vod\/([^/]+)\//.exec(it)[1]))];
console.log(JSON.stringify({ faults, statuses, steering, lists: told, assets, files, splices: [...seen.get(variant.uri).splices].map(([message, which]) => ({ which, message })), events: [...events.values()] }));
