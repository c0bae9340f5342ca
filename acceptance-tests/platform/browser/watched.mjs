// Watches a channel whose pictures a page must not read (EME), by the screen that DevTools cast: which picture of which clip
// was shown when, at which quality, with how many keys. Prints one JSON object; judging it is the test's.
//
// node watched.mjs PAGE [--protocol hls|dash] [--account NAME] [--seconds N] [--changes N] [--stolen] [--asset TITLE]
//   [--token same|expired --token-key FILE] [--denied] [--screenshot FILE]
//
// --changes  ends once another clip was shown so often, and two renditions
// --asset    watches a video instead of the first channel
// --token    the page is signed in with one token for all requests, or with tokens that have expired
// --denied   ends soon after a licence was denied
// --stolen   the player is given the manifest, and no licence service

import { open } from "./page.mjs";
import { fill, watch } from "./screencast.mjs";
import { read, signer } from "./token.mjs";

const option = (name, fallback) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? fallback : process.argv[at + 1];
};
const protocol = option("protocol", "hls");
const seconds = Number(option("seconds", "45"));
const enough = Number(option("changes", "0"));
const account = option("account");
const address = new URL(process.argv[2]);
if (account) address.searchParams.set("account", account);

const { browser, page, failures } = await open(address.href);
const segments = [];
const manifests = [];
try {
  page.on("response", async (response) => {
    const path = new URL(response.url()).pathname;
    if (path.endsWith(".mpd") || path.endsWith(".m3u8")) manifests.push(path);
    if (!response.url().includes("/vod/")) return;
    const headers = await response.allHeaders().catch(() => ({}));
    segments.push(headers.via ?? "");
  });
  if (process.argv.includes("--stolen")) {
    await page.route("**/api/page.json", async (route) => {
      const answer = await route.fetch();
      await route.fulfill({ response: answer, json: { ...(await answer.json()), licence: null } });
    });
  }
  const forged = option("token");
  if (forged) {
    const sign = signer(option("token-key"));
    let first;
    await page.route("**/api/token.json*", async (route) => {
      const answer = await route.fetch();
      const told = await answer.json();
      first ??= told;
      const [head, body] = read(told.token);
      const expired = { ...told, token: sign(head, { ...body, iat: body.iat - 240, exp: body.iat - 180 }) };
      await route.fulfill({ response: answer, json: forged === "same" ? first : expired });
    });
  }
  await page.goto(address.href, { waitUntil: "domcontentloaded" });
  await page.waitForSelector("#channels button", { timeout: 30000 });
  if (protocol === "dash") await page.check('input[value="dash"]');
  const title = option("asset");
  if (title) {
    await page.locator("#assets button", { hasText: title }).click({ timeout: 30000 });
    await page.waitForFunction((it) => document.getElementById("message").innerText.includes(`Playing ${it}`), title);
  }
  await fill(page);
  const cast = await watch(page);
  const [heights, denials] = [new Set(), new Set()];
  const begun = Date.now();
  // How often another clip was shown, and up to which picture that is known.
  let [changes, place] = [0, 1];
  let switched = 0;
  while (Date.now() - begun < seconds * 1000) {
    await page.waitForTimeout(250);
    const now = await page.evaluate(() => ({ height: document.getElementById("video").videoHeight, denial: window.streamverse.facts().denial }));
    if (now.height) heights.add(now.height);
    if (now.denial) denials.add(now.denial);
    for (; place < cast.seen.length; place += 1) if (cast.seen[place].clip !== cast.seen[place - 1].clip) changes += 1;
    if (denials.size && process.argv.includes("--denied")) {
      // Whatever was still on its way is shown now, or never.
      await page.waitForTimeout(1500);
      break;
    }
    if (enough && changes >= enough && heights.size > 1) break;
    // The lowest rendition, then the highest, and again: what is loaded is played, so that every switch must be seamless.
    const wanted = Math.floor((Date.now() - begun) / 5000);
    if (cast.seen.length && wanted > switched) {
      switched = wanted;
      await page.evaluate((lowest) => {
        const { player } = window.streamverse;
        player.configure({ abr: { enabled: false } });
        const tracks = player.getVariantTracks().sort((a, b) => a.bandwidth - b.bandwidth);
        const track = lowest ? tracks[0] : tracks.at(-1);
        if (track) player.selectVariantTrack(track, false);
      }, wanted % 2 === 1);
    }
  }
  await cast.stop();
  const found = await page.evaluate(() => {
    const text = (id) => document.getElementById(id).innerText;
    const shown = document.getElementById("video").getVideoPlaybackQuality().totalVideoFrames;
    return { facts: window.streamverse.facts(), message: text("message"), frames: shown };
  });
  if (option("screenshot")) {
    await page.evaluate(() => document.getElementById("video").removeAttribute("style"));
    await page.setViewportSize({ width: 1280, height: 900 });
    await page.waitForTimeout(1200);
    await page.screenshot({ path: option("screenshot") });
  }
  const first = cast.seen[0]?.at ?? 0;
  console.log(
    JSON.stringify({
      protocol, ...found, changes, heights: [...heights], denials: [...denials], blank: cast.blank.length, failures,
      manifests, segments: segments.length, through_traffic_server: segments.filter((via) => via.includes("ApacheTrafficServer")).length,
      // Clip, frame, and milliseconds since the first one.
      seen: cast.seen.map((it) => [it.clip, it.frame, Math.round((it.at - first) * 1000)]),
    }),
  );
} finally {
  await browser.close();
}
