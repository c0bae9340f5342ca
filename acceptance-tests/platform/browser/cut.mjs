// Plays the page while the edge is taken away and comes back: playback must end with the edge, the page must say so, and
// go on when the edge does. Tells its progress as files in a folder, prints one JSON object; fails with a reason.
//
// node cut.mjs PAGE FOLDER

import fs from "node:fs";
import path from "node:path";

import { open } from "./page.mjs";

const [page_address, folder] = process.argv.slice(2);
const tell = (name) => fs.writeFileSync(path.join(folder, name), "");

const { browser, page } = await open(page_address);
try {
  await page.goto(page_address, { waitUntil: "domcontentloaded" });
  await page.waitForSelector("#assets button", { timeout: 30000 });
  // Little ahead, so that what was loaded is soon played; and only one rendition, so that nothing is loaded twice.
  await page.evaluate(() => window.streamverse.player.configure({ abr: { enabled: false }, streaming: { bufferingGoal: 2, bufferBehind: 1 } }));
  await page.locator("#assets button").first().click();
  const time = () => page.evaluate(() => document.getElementById("video").currentTime);
  const words = () => page.evaluate(() => document.getElementById("message").textContent);
  await page.waitForFunction(() => document.getElementById("video").currentTime > 1, undefined, { timeout: 60000 });
  tell("playing");
  // Still where it was three seconds ago, and not because the clip is over.
  let [before, stood] = [await time(), 0];
  for (let tries = 0; stood < 3; tries += 1) {
    if (tries > 90) throw new Error(`it plays on without the edge, at ${before} s`);
    await page.waitForTimeout(1000);
    const now = await time();
    stood = now === before ? stood + 1 : 0;
    before = now;
  }
  const over = await page.evaluate(() => document.getElementById("video").ended);
  if (over) throw new Error("the clip ended before the edge went");
  const said = await words();
  tell("stalled");
  await page.waitForFunction((from) => document.getElementById("video").currentTime > from + 1, before, { timeout: 120000 });
  console.log(JSON.stringify({ stalled_at: before, said, went_on: await time() }));
} finally {
  await browser.close();
}
