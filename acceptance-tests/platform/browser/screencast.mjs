// What a browser shows, as DevTools casts its screen: the only way to see pictures that a page must not read (EME). Each
// frame is a PNG, whose pixels are read here and their block code decoded.

import zlib from "node:zlib";

import { readCode } from "./block.mjs";

/** Small, so that a busy machine keeps up; the code's blocks are still 20 pixels wide. */
export const SCREEN = { width: 640, height: 360 };

/** Makes the page's video fill the screen, so that the code is where it is looked for. */
export async function fill(page) {
  await page.setViewportSize(SCREEN);
  await page.evaluate(() => {
    const video = document.getElementById("video");
    video.controls = false;
    Object.assign(video.style, { position: "fixed", inset: "0", width: "100vw", height: "100vh", zIndex: "9", borderRadius: "0", objectFit: "fill" });
  });
}

/**
 * Looks at a page's screen until it is stopped.
 *
 * `seen`: clip, frame and the time (Unix, in seconds) of each picture whose code was read, in order; `blank`: the times of
 * those without one; `stop()` ends it, and puts them in order.
 */
export async function watch(page) {
  const session = await page.context().newCDPSession(page);
  const [seen, blank] = [[], []];
  session.on("Page.screencastFrame", ({ data, metadata, sessionId }) => {
    // At once: the next one is made meanwhile.
    void session.send("Page.screencastFrameAck", { sessionId }).catch(() => {});
    const picture = png(Buffer.from(data, "base64"));
    const code = readCode(picture.width, picture.height, picture.green);
    if (code) seen.push({ ...code, at: metadata.timestamp });
    else blank.push(metadata.timestamp);
  });
  await session.send("Page.startScreencast", { format: "png", everyNthFrame: 1, maxWidth: SCREEN.width, maxHeight: SCREEN.height });
  return {
    seen,
    blank,
    stop: async () => {
      // Two frames that are made close to each other may come the other way round.
      seen.sort((a, b) => a.at - b.at);
      await session.send("Page.stopScreencast").catch(() => {});
      await session.detach().catch(() => {});
    },
  };
}

// PNG (ISO/IEC 15948) of 8 bits, without interlace, in RGB or RGBA: what Chromium writes.
function png(bytes) {
  let at = 8;
  let head;
  const parts = [];
  while (at + 12 <= bytes.length) {
    const size = bytes.readUInt32BE(at);
    const type = bytes.toString("latin1", at + 4, at + 8);
    const body = bytes.subarray(at + 8, at + 8 + size);
    if (type === "IHDR") head = { width: body.readUInt32BE(0), height: body.readUInt32BE(4), depth: body[8], colour: body[9], interlace: body[12] };
    if (type === "IDAT") parts.push(body);
    at += 12 + size;
  }
  const channels = { 2: 3, 6: 4 }[head.colour];
  if (head.depth !== 8 || head.interlace !== 0 || !channels) throw new Error(`a PNG of another kind: ${JSON.stringify(head)}`);
  const { width, height } = head;
  const raw = zlib.inflateSync(Buffer.concat(parts));
  const stride = width * channels;
  // The code is near the upper edge: what is below is not needed, and each row needs only those above.
  const rows = Math.min(height, Math.ceil(height / 9));
  const pixels = Buffer.alloc(rows * stride);
  for (let y = 0; y < rows; y += 1) {
    const filter = raw[y * (stride + 1)];
    const from = y * (stride + 1) + 1;
    for (let x = 0; x < stride; x += 1) {
      const left = x >= channels ? pixels[y * stride + x - channels] : 0;
      const up = y > 0 ? pixels[(y - 1) * stride + x] : 0;
      const corner = x >= channels && y > 0 ? pixels[(y - 1) * stride + x - channels] : 0;
      let guess = 0;
      if (filter === 1) guess = left;
      else if (filter === 2) guess = up;
      else if (filter === 3) guess = (left + up) >> 1;
      else if (filter === 4) {
        const [a, b, c] = [Math.abs(up - corner), Math.abs(left - corner), Math.abs(left + up - 2 * corner)];
        guess = a <= b && a <= c ? left : b <= c ? up : corner;
      }
      pixels[y * stride + x] = (raw[from + x] + guess) & 255;
    }
  }
  return { width, height, green: (x, y) => pixels[y * stride + x * channels + 1] };
}
