// Reads a package as strangers do: HLS by the npm package hls-parser, DASH by mpd-parser, MP4 boxes by the few lines below.
// Every address that a manifest names is asked for. Prints one JSON object of what was found; judging it is the test's.
//
// node read.mjs HLS DASH

import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));
const require = createRequire(path.join(here, "../../../web/package.json"));
const HLS = require("hls-parser");
const MPD = require("mpd-parser");
const [hls_address, dash_address] = process.argv.slice(2);

const asked = new Map();
// What an address answers, once; where redirects lead is the base of what a manifest names.
async function ask(address) {
  if (!asked.has(address)) {
    const answer = await fetch(address, { signal: AbortSignal.timeout(20000) });
    const bytes = Buffer.from(await answer.arrayBuffer());
    asked.set(address, { url: answer.url, status: answer.status, type: answer.headers.get("content-type") ?? "", cors: answer.headers.get("access-control-allow-origin") ?? "", bytes });
  }
  return asked.get(address);
}
const text = async (address) => {
  const { url, status, bytes } = await ask(address);
  if (status !== 200) throw new Error(`${address} answers ${status}`);
  return { url, text: bytes.toString("utf8") };
};

// ISO/IEC 14496-12: size and type, then content; 64-bit sizes are not used by segments.
function* boxes(bytes) {
  let at = 0;
  while (at + 8 <= bytes.length) {
    const size = bytes.readUInt32BE(at);
    if (size < 8 || at + size > bytes.length) throw new Error(`a box at ${at} of ${bytes.length} bytes has the size ${size}`);
    yield { type: bytes.toString("latin1", at + 4, at + 8), body: bytes.subarray(at + 8, at + size) };
    at += size;
  }
}
const find = (bytes, ...names) => {
  let body = bytes;
  for (const name of names) {
    body = [...boxes(body)].find((it) => it.type === name)?.body;
    if (!body) return undefined;
  }
  return body;
};
function init(bytes) {
  const ftyp = find(bytes, "ftyp");
  const brands = [];
  for (let at = 0; at + 4 <= ftyp.length; at += 4) if (at !== 4) brands.push(ftyp.toString("latin1", at, at + 4));
  const mdhd = find(bytes, "moov", "trak", "mdia", "mdhd");
  const trex = find(bytes, "moov", "mvex", "trex");
  return { brands, timescale: mdhd.readUInt32BE(mdhd[0] === 1 ? 20 : 12), sample_duration: trex ? trex.readUInt32BE(12) : 0 };
}
function fragment(bytes, fallback) {
  const traf = find(bytes, "moof", "traf");
  const tfdt = find(traf, "tfdt");
  const time = tfdt[0] === 1 ? Number(tfdt.readBigUInt64BE(4)) : tfdt.readUInt32BE(4);
  const tfhd = find(traf, "tfhd");
  const has = tfhd.readUIntBE(1, 3);
  let at = 8 + (has & 1 ? 8 : 0) + (has & 2 ? 4 : 0);
  const each = has & 8 ? tfhd.readUInt32BE(at) : fallback;
  if (has & 8) at += 4;
  if (has & 16) at += 4;
  const usual = has & 32 ? tfhd.readUInt32BE(at) : 0;
  let duration = 0;
  let samples = 0;
  let first_flags;
  for (const { type, body } of boxes(traf)) {
    if (type !== "trun") continue;
    const flags = body.readUIntBE(1, 3);
    const count = body.readUInt32BE(4);
    let place = 8 + (flags & 1 ? 4 : 0);
    if (flags & 4) {
      first_flags ??= body.readUInt32BE(place);
      place += 4;
    }
    for (let sample = 0; sample < count; sample += 1) {
      if (flags & 0x100) {
        duration += body.readUInt32BE(place);
        place += 4;
      } else duration += each;
      if (flags & 0x200) place += 4;
      if (flags & 0x400) {
        if (sample === 0) first_flags ??= body.readUInt32BE(place);
        place += 4;
      }
      if (flags & 0x800) place += 4;
      samples += 1;
    }
  }
  // sample_is_non_sync_sample is bit 16 of the flags.
  return { time, duration, samples, sync: (((first_flags ?? usual) >>> 16) & 1) === 0, styp: [...boxes(bytes)][0].type };
}

// A media playlist with all that it names.
async function playlist(address) {
  const { url, text: body } = await text(address);
  const list = HLS.parse(body);
  const found = {
    url, version: list.version ?? 0, target: list.targetDuration, end: list.endlist, type: list.playlistType ?? "",
    independent: list.independentSegments ?? false, iframes: list.isIFrame ?? false, segments: [],
  };
  let about;
  const map = list.segments[0]?.map?.uri;
  if (map) {
    const answer = await ask(new URL(map, url).href);
    found.init = { url: answer.url, status: answer.status, type: answer.type };
    about = init(answer.bytes);
    Object.assign(found.init, about);
  }
  for (const segment of list.segments) {
    const answer = await ask(new URL(segment.uri, url).href);
    const one = { url: answer.url, status: answer.status, type: answer.type, cors: answer.cors, bytes: answer.bytes.length, duration: segment.duration };
    if (about && answer.status === 200) {
      const { duration: duration_units, ...rest } = fragment(answer.bytes, about.sample_duration);
      Object.assign(one, { duration_units, ...rest });
    }
    if (answer.type.startsWith("text/vtt")) one.text = answer.bytes.toString("utf8");
    found.segments.push(one);
  }
  return found;
}

async function hls(address) {
  const { url, text: body } = await text(address);
  const master = HLS.parse(body);
  if (!master.isMasterPlaylist) throw new Error("hls-parser takes it for no master playlist");
  const media = async (rendition) => ({
    name: rendition.name, language: rendition.language ?? "", default: rendition.isDefault ?? false, channels: rendition.channels ?? "",
    playlist: await playlist(new URL(rendition.uri, url).href),
  });
  const variants = [];
  for (const variant of master.variants) {
    variants.push({
      iframes: variant.isIFrameOnly ?? false, bandwidth: variant.bandwidth, average: variant.averageBandwidth ?? 0, codecs: variant.codecs,
      width: variant.resolution?.width ?? 0, height: variant.resolution?.height ?? 0, rate: variant.frameRate ?? 0,
      playlist: await playlist(new URL(variant.uri, url).href),
      audio: await Promise.all(variant.audio.map(media)), subtitles: await Promise.all(variant.subtitles.map(media)),
    });
  }
  // No parser knows the extension for thumbnails by its name.
  const image = /#EXT-X-IMAGE-STREAM-INF:.*URI="([^"]+)"/.exec(body)?.[1];
  const images = image ? await playlist(new URL(image, url).href) : null;
  return { url, independent: master.independentSegments ?? false, variants, images };
}

async function dash(address) {
  const { url, text: body } = await text(address);
  const warnings = [];
  const read = MPD.parse(body, { manifestUri: url, eventHandler: (event) => warnings.push(event) });
  const representation = async (it, name) => {
    const found = { name, bandwidth: it.attributes.BANDWIDTH, codecs: it.attributes.CODECS ?? "", width: it.attributes.RESOLUTION?.width ?? 0, height: it.attributes.RESOLUTION?.height ?? 0, segments: [] };
    for (const segment of it.segments ?? []) {
      const answer = await ask(segment.resolvedUri);
      found.segments.push({ url: answer.url, status: answer.status, type: answer.type, bytes: answer.bytes.length, duration: segment.duration, begin: segment.presentationTime });
    }
    return found;
  };
  const video = [];
  for (const it of read.playlists) video.push(await representation(it, it.attributes.NAME));
  const others = async (groups) => {
    const all = [];
    for (const group of Object.values(groups)) for (const [label, one] of Object.entries(group)) for (const it of one.playlists) all.push(await representation(it, `${one.language ?? ""} ${label}`.trim()));
    return all;
  };
  // mpd-parser passes image sets over: read with the XML parser that it brings.
  const { DOMParser } = require("@xmldom/xmldom");
  const tree = new DOMParser().parseFromString(body, "text/xml");
  const images = [];
  for (const set of Array.from(tree.getElementsByTagName("AdaptationSet"))) {
    if (set.getAttribute("contentType") !== "image") continue;
    const part = (name) => set.getElementsByTagName(name)[0];
    const template = part("SegmentTemplate");
    const span = Number(template.getAttribute("duration")) / Number(template.getAttribute("timescale"));
    const one = { type: set.getAttribute("mimeType"), scheme: part("EssentialProperty").getAttribute("schemeIdUri"), layout: part("EssentialProperty").getAttribute("value"), width: Number(part("Representation").getAttribute("width")), height: Number(part("Representation").getAttribute("height")), bandwidth: Number(part("Representation").getAttribute("bandwidth")), span, segments: [] };
    for (let number = 1; number <= Math.ceil(read.duration / span); number += 1) {
      const name = template.getAttribute("media").replace(/\$Number%0(\d)d\$/, (_, digits) => String(number).padStart(Number(digits), "0"));
      const answer = await ask(new URL(name, url).href);
      one.segments.push({ url: answer.url, status: answer.status, type: answer.type, bytes: answer.bytes.length });
    }
    images.push(one);
  }
  return { url, type: tree.documentElement.getAttribute("type"), profiles: tree.documentElement.getAttribute("profiles"), duration: read.duration, warnings, video, audio: await others(read.mediaGroups.AUDIO), subtitles: await others(read.mediaGroups.SUBTITLES), images };
}

const found = { hls: await hls(hls_address), dash: await dash(dash_address) };
found.refused = [...asked].filter(([, it]) => it.status !== 200).map(([address, it]) => `${address} answers ${it.status}`);
found.asked = asked.size;
console.log(JSON.stringify(found));
