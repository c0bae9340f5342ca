// Proves the screencast with a clear video, which a page may read: both decoders look at once, and see the same pictures at
// the same time. Prints one JSON object; fails with a reason.
//
// node cast.mjs PAGE [--seconds N]

import { readCode } from "./block.mjs";
import { open } from "./page.mjs";
import { fill, watch } from "./screencast.mjs";

const page_address = process.argv[2];
const at = process.argv.indexOf("--seconds");
const seconds = at < 0 ? 6 : Number(process.argv[at + 1]);

const { browser, page, failures } = await open(page_address);
try {
  await page.goto(page_address, { waitUntil: "domcontentloaded" });
  await page.waitForSelector("#assets button", { timeout: 30000 });
  await fill(page);
  await page.waitForFunction(() => document.getElementById("video").currentTime > 0.2, undefined, { timeout: 60000 });
  await page.evaluate(`window.readCode = ${readCode}`);
  const cast = await watch(page);
  const read = await page.evaluate(async (seconds) => {
    const video = document.getElementById("video");
    const canvas = document.createElement("canvas");
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const frames = [];
    const until = performance.now() + seconds * 1000;
    await new Promise((done) => {
      const each = (_, shown) => {
        const [width, height] = [video.videoWidth, video.videoHeight];
        canvas.width = width;
        canvas.height = height;
        context.drawImage(video, 0, 0);
        const first = Math.round(height / 18) - 1;
        const strip = context.getImageData(0, first, width, 3).data;
        const code = window.readCode(width, height, (x, y) => strip[((y - first) * width + x) * 4 + 1]);
        if (code) frames.push({ ...code, at: (performance.timeOrigin + shown.expectedDisplayTime) / 1000 });
        if (performance.now() > until || video.ended) done();
        else video.requestVideoFrameCallback(each);
      };
      video.requestVideoFrameCallback(each);
      setTimeout(done, (seconds + 15) * 1000);
    });
    return frames;
  }, seconds);
  await cast.stop();
  const seen = cast.seen.filter((it) => it.at >= read[0].at && it.at <= read.at(-1).at);
  // The picture that the page read last at that time.
  const apart = seen.map((it) => it.frame - read.filter((other) => other.at <= it.at + 0.001).at(-1).frame);
  let backwards = 0;
  for (let place = 1; place < seen.length; place += 1) if (seen[place].frame < seen[place - 1].frame) backwards += 1;
  console.log(
    JSON.stringify({ read: read.length, seen: seen.length, blank: cast.blank.length, backwards, apart: [Math.min(...apart), Math.max(...apart)], clips: [...new Set(seen.map((it) => it.clip))], failures }),
  );
} finally {
  await browser.close();
}
