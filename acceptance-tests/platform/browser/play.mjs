// Plays the page in headless Chromium: frames are read from the pixels by their block code, segments must come through
// Traffic Server, renditions are switched. Prints one JSON object; fails with a reason.
//
// node play.mjs PAGE [--protocol hls|dash] [--seconds N] [--screenshot FILE] [--asset NAME]

import { readCode } from "./block.mjs";
import { open } from "./page.mjs";

const page_address = process.argv[2];
const option = (name, fallback) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? fallback : process.argv[at + 1];
};
const protocol = option("protocol", "hls");
const seconds = Number(option("seconds", "12"));

const { browser, page, failures } = await open(page_address);
const segments = [];
try {
  page.on("response", async (response) => {
    if (!response.url().endsWith(".m4s")) return;
    const headers = await response.allHeaders().catch(() => ({}));
    segments.push({ url: response.url(), via: headers.via ?? "", age: headers.age ?? "" });
  });
  await page.goto(page_address, { waitUntil: "domcontentloaded" });
  await page.waitForSelector("#assets button", { timeout: 30000 });
  if (protocol === "dash") await page.check('input[value="dash"]');
  const asset = option("asset");
  if (asset) await page.locator("#assets button", { hasText: asset }).first().click();
  await page.waitForFunction(() => document.getElementById("video").currentTime > 0.2, undefined, { timeout: 60000 });

  await page.evaluate(`window.readCode = ${readCode}`);
  const result = await page.evaluate(async (seconds) => {
    const video = document.getElementById("video");
    const player = window.streamverse.player;
    const canvas = document.createElement("canvas");
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const frames = [];
    const heights = new Set();
    let torn = 0;
    const look = (shown) => {
      const [width, height] = [video.videoWidth, video.videoHeight];
      if (!width) return;
      canvas.width = width;
      canvas.height = height;
      context.drawImage(video, 0, 0);
      const first = Math.round(height / 18) - 1;
      const strip = context.getImageData(0, first, width, 3).data;
      const code = window.readCode(width, height, (x, y) => strip[((y - first) * width + x) * 4 + 1]);
      if (!code) {
        torn += 1;
        return;
      }
      heights.add(height);
      frames.push({ ...code, height, time: shown.mediaTime });
    };
    const begun = performance.now();
    let switched = 0;
    await new Promise((done) => {
      const each = (_, shown) => {
        look(shown);
        const spent = (performance.now() - begun) / 1000;
        if (spent > seconds || video.ended) return done();
        // Lowest, then highest: every rendition switch must be seamless.
        const wanted = Math.floor((spent / seconds) * 4);
        if (wanted > switched) {
          switched = wanted;
          player.configure({ abr: { enabled: false } });
          const tracks = player.getVariantTracks().sort((a, b) => a.bandwidth - b.bandwidth);
          const track = wanted % 2 ? tracks[0] : tracks[tracks.length - 1];
          if (track) player.selectVariantTrack(track, true, 1);
        }
        video.requestVideoFrameCallback(each);
      };
      video.requestVideoFrameCallback(each);
      setTimeout(done, (seconds + 15) * 1000);
    });
    return { frames, torn, heights: [...heights], facts: window.streamverse.facts(), message: document.getElementById("message").textContent };
  }, seconds);

  if (option("screenshot")) {
    await page.waitForTimeout(1200);
    await page.screenshot({ path: option("screenshot") });
  }
  const numbers = result.frames.map((it) => it.frame);
  let backwards = 0;
  let largest = 0;
  for (let at = 1; at < numbers.length; at += 1) {
    if (numbers[at] < numbers[at - 1]) backwards += 1;
    largest = Math.max(largest, numbers[at] - numbers[at - 1]);
  }
  // Each picture's own number against the time at which it is shown: none may be out of its place, whatever rendition.
  const rate = Number(option("rate", "25"));
  const places = result.frames.map((it) => it.frame - Math.round(it.time * rate));
  const through = segments.filter((it) => it.via.includes("ApacheTrafficServer")).length;
  console.log(
    JSON.stringify({
      protocol, seen: numbers.length, first: numbers[0], last: numbers.at(-1), backwards, largest_step: largest, places: [Math.min(...places), Math.max(...places)], torn: result.torn,
      heights: result.heights, clips: [...new Set(result.frames.map((it) => it.clip))], segments: segments.length, through_traffic_server: through,
      aged: segments.filter((it) => Number(it.age) > 0).length, facts: result.facts, message: result.message, failures,
    }),
  );
} finally {
  await browser.close();
}
