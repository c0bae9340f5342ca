// Asks for licences as players and thieves do, through the edge. Prints what each was answered: status and code, never a
// key.
//
// node licences.mjs LICENCE_ADDRESS KID FILE_OF_THE_TOKEN_KEY

import crypto from "node:crypto";

import { signer } from "./token.mjs";

const [address, kid, file] = process.argv.slice(2);
const sign = signer(file);
const now = () => Math.floor(Date.now() / 1000);

// A token of the page's issuer, as the test's account `crowd`.
function token(claims, header = {}) {
  const body = { iss: "main-page", aud: "main-licence", sub: "crowd", iat: now(), exp: now() + 60, jti: crypto.randomUUID(), device: "first", session: "first", ...claims };
  return sign({ typ: "JWT", alg: "HS256", kid: "demo", ...header }, body);
}

async function ask(bearer, wanted = kid) {
  const answer = await fetch(address, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...(bearer ? { Authorization: `Bearer ${bearer}` } : {}) },
    body: JSON.stringify({ kids: [Buffer.from(wanted.replaceAll("-", ""), "hex").toString("base64url")], type: "temporary" }),
    signal: AbortSignal.timeout(10000),
  });
  const body = await answer.json().catch(() => ({}));
  return { status: answer.status, code: body.code ?? "", keys: body.keys?.length ?? 0, message: body.message ?? "" };
}

const once = token({});
const found = {
  entitled: await ask(once),
  replayed: await ask(once),
  not_entitled: await ask(token({ sub: "guest" })),
  expired: await ask(token({ iat: now() - 120, exp: now() - 60 })),
  unsigned: await ask(token({}, { alg: "none" })),
  for_somebody_else: await ask(token({ aud: "other" })),
  without_token: await ask(undefined),
  second_stream: await ask(token({ device: "second", session: "second" })),
  first_stream_again: await ask(token({})),
  unknown_key: await ask(token({}), "00000000000000000000000000000000"),
};
console.log(JSON.stringify(found));
