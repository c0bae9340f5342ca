// Measures how well the page plays, by the page's own figures: how long each of several items takes from the choice to the
// first picture, in turns; then stalls, while all of them play side by side. Prints one JSON array; it judges nothing.
//
// node quality.mjs PAGE --starts N --seconds N PROTOCOL:TITLE…
//
// A title is that of a channel or of a video; a video that ends is played again.

import { open } from "./page.mjs";

const [address, ...words] = process.argv.slice(2);
const option = (name) => Number(words.splice(words.indexOf(`--${name}`), 2)[1]);
const starts = option("starts");
const seconds = option("seconds");
const all = words.map((word) => {
  const at = word.indexOf(":");
  const item = { protocol: word.slice(0, at), title: word.slice(at + 1) };
  return { ...item, startup: [], stalls: 0, stalled: 0, played: 0, lost: 0, pictures: 0, again: 0, segments: 0, through_traffic_server: 0 };
});
const PATIENCE = 60000;

// What the page says of what plays now.
const facts = (it) =>
  it.page.evaluate(() => {
    const video = document.getElementById("video");
    const { droppedVideoFrames, totalVideoFrames } = video.getVideoPlaybackQuality();
    return { ...window.streamverse.facts(), ended: video.ended, time: video.currentTime, lost: droppedVideoFrames, pictures: totalVideoFrames };
  });

async function prepare(it) {
  Object.assign(it, await open(address));
  // Whoever watches something for the first time has nothing of it.
  const devtools = await it.page.context().newCDPSession(it.page);
  await devtools.send("Network.enable");
  await devtools.send("Network.setCacheDisabled", { cacheDisabled: true });
  it.page.on("response", async (response) => {
    if (!response.url().includes("/vod/") || !response.url().endsWith(".m4s")) return;
    const headers = await response.allHeaders().catch(() => ({}));
    it.segments += 1;
    if ((headers.via ?? "").includes("ApacheTrafficServer")) it.through_traffic_server += 1;
  });
  await it.page.goto(address, { waitUntil: "domcontentloaded" });
  await it.page.waitForSelector("#channels button, #assets button", { timeout: PATIENCE });
  await it.page.check(`input[value="${it.protocol}"]`);
  it.button = it.page.locator("#channels button, #assets button").filter({ hasText: it.title }).first();
  await choose(it);
  await stop(it);
}

// Chooses it, and waits for the first picture.
async function choose(it) {
  await it.button.click({ timeout: PATIENCE });
  await it.page.waitForFunction(() => window.streamverse.facts().startup !== undefined && document.getElementById("video").currentTime > 0, undefined, { timeout: PATIENCE, polling: 50 });
  return (await facts(it)).startup;
}

const stop = (it) => it.page.evaluate(() => window.streamverse.player.unload());

// The page begins to count anew when something is chosen.
function add(it, now) {
  for (const name of ["stalls", "stalled", "played", "lost", "pictures"]) it[name] += now[name];
  it.denial ??= now.denial;
}

async function endure(it) {
  const until = Date.now() + seconds * 1000;
  await choose(it);
  while (Date.now() < until) {
    await it.page.waitForTimeout(500);
    const now = await facts(it);
    if (!now.ended) continue;
    add(it, now);
    it.again += 1;
    await choose(it);
  }
  add(it, await facts(it));
}

try {
  for (const it of all) await prepare(it);
  for (let turn = 0; turn < starts; turn += 1) {
    for (const it of all) {
      it.startup.push(await choose(it));
      await it.page.waitForTimeout(500);
      await stop(it);
    }
  }
  await Promise.all(all.map(endure));
  console.log(JSON.stringify(all.map(({ browser, page, button, ...said }) => said)));
} finally {
  await Promise.all(all.map((it) => it.browser?.close()));
}
