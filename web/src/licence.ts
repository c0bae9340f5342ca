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

/** How often a licence is asked for again when nobody answered: for some twenty seconds, in which what crashed is there
again, and what was loaded plays. */
const PATIENCE = 8;
/** Answers after which another token may be luckier, and how often that is tried; also everything that is the server's
trouble. */
const PASSING: Record<string, number> = { "token-before-start": PATIENCE, "token-not-yet-valid": PATIENCE, "token-replayed": 3 };
/** Between two attempts, in seconds: half a second, then twice as long as before, up to this. */
const LONGEST_PAUSE = 4;
/** Between two attempts to keep a stream's place. */
const RETRY_S = 5;
/** After how many seconds a licence is asked for again. */
const RENEW = "licence-renew-after";

export interface Denial {
  code: string;
  words: string;
  /** How often it is worth to ask again: it may pass by itself. */
  tries: number;
}

/** An id that was made once and is kept. */
function kept(storage: Storage, name: string): string {
  const known = storage.getItem(name);
  if (known) return known;
  const made = random();
  storage.setItem(name, made);
  return made;
}

const random = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (it) => it.toString(16).padStart(2, "0")).join("");

/** Makes a player ask for licences as one of the page's accounts. */
export class Licences {
  /** The demo account in whose name licences are asked for. */
  account: string | undefined;
  /** What a licence service counts as a device: this browser. */
  private readonly device = kept(localStorage, "streamverse-device");
  /** What it counts as a stream: this tab, also when it is loaded again. */
  private readonly session = kept(sessionStorage, "streamverse-session");
  /** How often each was denied since one was given, by what it was asked for with. */
  private readonly failed = new Map<string, number>();
  /** What was asked for last: asked for again, it keeps this page's place among the account's streams. */
  private body: string | undefined;
  private renewal: number | undefined;

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
      Object.assign(request.headers, await this.headers());
      this.body = request.body ? shaka.util.StringUtils.fromUTF8(request.body) : undefined;
    });
    player.getNetworkingEngine()?.registerResponseFilter((type, response) => {
      if (type !== shaka.net.NetworkingEngine.RequestType.LICENSE) return;
      this.failed.clear();
      this.again(Number(response.headers[RENEW] ?? 0));
    });
  }

  /** A token for one licence request. */
  token(): Promise<Token> {
    const query = new URLSearchParams({ device: this.device, session: this.session });
    if (this.account) query.set("account", this.account);
    return ask<Token>(`/api/token.json?${query}`);
  }

  private async headers(): Promise<Record<string, string>> {
    const { token } = await this.token();
    return { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
  }

  /** Asks again after some seconds; 0 for never. */
  private again(seconds: number): void {
    clearTimeout(this.renewal);
    if (seconds > 0) this.renewal = setTimeout(() => void this.renew(seconds), seconds * 1000);
  }

  /** Keeps the stream's place. Whoever does not play needs none. */
  private async renew(seconds: number): Promise<void> {
    const video = this.player.getMediaElement();
    if (!this.page.licence || !video || video.paused) return this.again(seconds);
    const known = this.body;
    try {
      const answer = await fetch(this.page.licence.url, { method: "POST", headers: await this.headers(), body: known ?? null, signal: AbortSignal.timeout(5000) });
      if (known !== this.body) return;
      if (answer.ok) return this.again(Number(answer.headers.get(RENEW) ?? seconds));
      const denial = read(answer.status, await answer.text());
      if (!denial.tries) return this.denied(denial);
    } catch {
      // Nobody answered: what was given holds for a while.
    }
    this.again(RETRY_S);
  }

  /** Nothing is played any more. */
  stop(): void {
    clearTimeout(this.renewal);
    this.body = undefined;
  }

  /** HLS has no word for ClearKey that would not give the keys away: the browser finds the key ids in init segments. */
  prepare(protocol: string): void {
    this.failed.clear();
    this.stop();
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
    error.handled = true;
    // A session for each key: what is away is away for all of them, and each has its own patience.
    const what = String(session?.initData);
    const failed = (this.failed.get(what) ?? 0) + 1;
    this.failed.set(what, failed);
    if (!session || failed > denial.tries) return this.denied(denial);
    const pause = Math.min(0.5 * 2 ** (failed - 1), LONGEST_PAUSE);
    void this.player.retryLicensing(session, pause * (0.75 + Math.random() / 2));
  }
}

const NOBODY: Denial = { code: "no-answer", words: "the licence service does not answer.", tries: PATIENCE };

/** What a licence service answered to the player. */
function refusal(error: shaka.util.Error | undefined): Denial {
  if (error?.code !== shaka.util.Error.Code.BAD_HTTP_STATUS) return NOBODY;
  const [, status, text] = error.data as [string, number, string];
  return read(status, text);
}

function read(status: number, text: string): Denial {
  try {
    const { code, message } = JSON.parse(text) as { code: string; message: string };
    return { code, words: WORDS[code] ?? `${message}.`, tries: status >= 500 ? PATIENCE : (PASSING[code] ?? 0) };
  } catch {
    // A proxy that found nobody behind it, or somebody else.
    return status >= 502 ? NOBODY : { code: String(status), words: `the licence service answers ${status}.`, tries: 0 };
  }
}
