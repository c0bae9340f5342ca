// Licences: a fresh token for each request, keys that the browser has, and a denial in words.

import shaka from "shaka-player";
import { ask, type Page, type Token } from "./api";

/** Stable codes of the licence service, in words for viewers; what is not here is told as the service words it. */
const WORDS: Record<string, string> = {
  "token-missing": "this page is not signed in.",
  "token-expired": "the sign-in has expired. Sign in again.",
  "token-replayed": "this sign-in was used already. Try again.",
  "account-unknown": "this account has no subscription.",
  "not-entitled": "your subscription does not include this programme.",
  "rental-expired": "your rental has ended.",
  "event-not-open": "the event has not begun, or is over.",
  blackout: "this programme may not be watched in your country.",
  "too-many-streams": "as many of your screens play as may at a time. Stop one of them and try again.",
  "too-many-devices": "this account has as many devices as it may have. Remove one of them.",
  "key-unknown": "nobody has the key of this programme.",
};

/** Answers after which another token may be luckier, besides everything that is the server's trouble. */
const PASSING = ["token-before-start", "token-replayed", "token-not-yet-valid"];

/** How often a licence is asked for again when nobody answered. */
const TRIES = 3;

export interface Denial {
  code: string;
  words: string;
  /** Whether it may go by itself. */
  passing: boolean;
}

/** An id that stays in this browser: what a licence service counts as a device. */
function device(): string {
  const known = localStorage.getItem("streamverse-device");
  if (known) return known;
  const made = random();
  localStorage.setItem("streamverse-device", made);
  return made;
}

const random = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (it) => it.toString(16).padStart(2, "0")).join("");

/** Makes a player ask for licences as one of the page's accounts. */
export class Licences {
  /** The demo account in whose name licences are asked for. */
  account: string | undefined;
  /** Each open page is a session of its own. */
  readonly session = random();
  private failed = 0;

  constructor(
    private readonly player: shaka.Player,
    private readonly page: Page,
    private readonly denied: (denial: Denial) => void,
  ) {
    const licence = page.licence;
    if (!licence) return;
    const asked = new URLSearchParams(location.search).get("account");
    this.account = (licence.accounts.find((it) => it.name === asked) ?? licence.accounts[0])?.name;
    player.configure({
      drm: {
        servers: { "org.w3.clearkey": licence.url },
        // A token is good for one request, so that a repeated one would be a replay: `again` asks with another.
        retryParameters: { maxAttempts: 1 },
        failureCallback: (error: shaka.util.Error) => this.failure(error),
      },
    });
    player.getNetworkingEngine()?.registerRequestFilter(async (type, request) => {
      if (type !== shaka.net.NetworkingEngine.RequestType.LICENSE) return;
      const { token } = await this.token();
      request.headers["Authorization"] = `Bearer ${token}`;
      request.headers["Content-Type"] = "application/json";
    });
    player.getNetworkingEngine()?.registerResponseFilter((type) => {
      if (type === shaka.net.NetworkingEngine.RequestType.LICENSE) this.failed = 0;
    });
  }

  /** A token for one licence request. */
  token(): Promise<Token> {
    const query = new URLSearchParams({ device: device(), session: this.session });
    if (this.account) query.set("account", this.account);
    return ask<Token>(`/api/token.json?${query}`);
  }

  /** HLS has no word for ClearKey that would not give the keys away: the browser finds the key ids in init segments. */
  prepare(protocol: string): void {
    this.failed = 0;
    this.player.configure({ manifest: { ignoreDrmInfo: Boolean(this.page.licence) && protocol === "hls" } });
  }

  /** Why encrypted pictures cannot be shown here at all. */
  unable(): string | undefined {
    if (!this.page.licence) return "this page has no licence service";
    if (!window.isSecureContext) return "browsers decrypt only over https or on localhost";
    return undefined;
  }

  /** The keys that the browser has, and what it says of each. */
  keys(): [string, string][] {
    return Object.entries(this.player.getKeyStatuses());
  }

  private failure(error: shaka.util.Error): void {
    const [cause, session] = error.data as [shaka.util.Error | undefined, shaka.extern.DrmSessionMetadata | undefined];
    const denial = refusal(cause);
    this.failed += 1;
    error.handled = true;
    if (denial.passing && session && this.failed <= TRIES) void this.player.retryLicensing(session, this.failed + Math.random());
    else this.denied(denial);
  }
}

/** What a licence service answered. */
function refusal(error: shaka.util.Error | undefined): Denial {
  const nobody = { code: "no-answer", words: "the licence service does not answer.", passing: true };
  if (error?.code !== shaka.util.Error.Code.BAD_HTTP_STATUS) return nobody;
  const [, status, text] = error.data as [string, number, string];
  try {
    const { code, message } = JSON.parse(text) as { code: string; message: string };
    return { code, words: WORDS[code] ?? `${message}.`, passing: status >= 500 || PASSING.includes(code) };
  } catch {
    // A proxy that found nobody behind it, or somebody else.
    return status >= 502 ? nobody : { code: String(status), words: `the licence service answers ${status}.`, passing: false };
  }
}
