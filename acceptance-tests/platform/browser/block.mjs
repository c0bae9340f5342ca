// The block code of the sample clips (docs/quickstart/block-code.md), read from pixels.

/**
 * What a picture's code says; nothing where it is torn, or no picture of a clip.
 *
 * `brightness(x, y)` is the green of a pixel of the picture, 0 to 255. It stands for itself, so that a page can be given
 * its text: nothing outside of it is used.
 */
export function readCode(width, height, brightness) {
  const bits = [];
  const row = Math.round(height / 18);
  for (let block = 0; block < 24; block += 1) {
    const x = Math.round(((4 + block + 0.5) / 32) * width);
    let sum = 0;
    for (let down = -1; down <= 1; down += 1) for (let right = -1; right <= 1; right += 1) sum += brightness(x + right, row + down);
    bits.push(sum / 9 > 128 ? 1 : 0);
  }
  const ones = bits.slice(2, 21).reduce((a, b) => a + b, 0);
  if (bits[0] !== 1 || bits[1] !== 0 || bits[22] !== 0 || bits[23] !== 1 || bits[21] !== ones % 2) return undefined;
  return { clip: parseInt(bits.slice(2, 5).join(""), 2), frame: parseInt(bits.slice(5, 21).join(""), 2) };
}
