// A page in headless Chromium, with what is wrong with it: errors on the console, requests that leave the host.

import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));
const require = createRequire(path.join(here, "../../../web/package.json"));
const { chromium } = require("playwright-core");

export async function open(address) {
  const browser = await chromium.launch({
    executablePath: process.env.STREAMVERSE_CHROMIUM || "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required"],
  });
  const failures = [];
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  page.on("console", (line) => line.type() === "error" && failures.push(`console: ${line.text()} ${line.location().url}`));
  page.on("pageerror", (error) => failures.push(`page: ${error}`));
  const own = new URL(address).hostname;
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol.startsWith("http") && url.hostname !== own) failures.push(`external request: ${url.hostname}`);
  });
  return { browser, page, failures };
}
