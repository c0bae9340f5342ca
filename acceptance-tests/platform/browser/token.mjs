// Tokens (RFC 7515, HS256) as the page's server signs them.

import crypto from "node:crypto";
import fs from "node:fs";

const text = (value) => Buffer.from(value).toString("base64url");

/** What signs tokens, from the file of its key. */
export function signer(file) {
  const key = fs.readFileSync(file, "utf8").trimEnd();
  return (head, body) => {
    const signed = `${text(JSON.stringify(head))}.${text(JSON.stringify(body))}`;
    const signature = head.alg === "none" ? "" : crypto.createHmac("sha256", key).update(signed).digest("base64url");
    return `${signed}.${signature}`;
  };
}

/** Head and body of a token. */
export const read = (token) => token.split(".").slice(0, 2).map((part) => JSON.parse(Buffer.from(part, "base64url").toString("utf8")));
