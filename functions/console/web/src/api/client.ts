// The one way to the server. The access token lives here, in memory alone; the refresh token in a cookie that no script sees.
//
// A request whose token has run out is sent again with a new one. However many wait, and in however many tabs, one refresh is made: within
// a tab they share its promise, across tabs a Web Lock, and whoever gets the lock next finds the token that the others were told of.
//
// What one person asked for is not sent, and what comes back not handed on, once somebody else is signed in, or nobody: AbortError.
import { ProblemError, problemOf, UnreachableError } from "./problems";
import type { Method, PathFor, RequestOptions, ResponseOf, SignedIn, User } from "./types";

export interface Session {
  token: string;
  /** Milliseconds since the epoch. */
  expiresAt: number;
  user: User;
}

type Told = { type: "session"; session: Session } | { type: "signed-out" };

/** What of the browser the client uses; tests bring their own. */
export interface Surroundings {
  fetch(url: string, init: RequestInit): Promise<Response>;
  locked<T>(name: string, work: () => Promise<T>): Promise<T>;
  tell(message: Told): void;
  onTold(listener: (message: Told) => void): void;
  /** Whether the server has still to be told that somebody signed out; kept across reloads. */
  leaving(): boolean;
  setLeaving(leaving: boolean): void;
  now(): number;
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
}

const LONGEST_WAIT_SECONDS = 30;
const TRIES = 4;
const EARLY_MILLISECONDS = 20_000;
/** A token that ends this soon is renewed before it is used. */

export class ApiClient {
  private session: Session | null = null;
  private refreshing: Promise<Session | null> | null = null;
  private readonly sessionListeners = new Set<(session: Session | null) => void>();
  private readonly reachableListeners = new Set<(reachable: boolean) => void>();
  private reachable = true;
  /** How many sessions have begun or ended: what a refresh brings is good only for the one that asked. */
  private turns = 0;

  constructor(private readonly around: Surroundings) {
    around.onTold((message) => this.turn(message.type === "session" ? message.session : null));
  }

  get user(): User | null {
    return this.session?.user ?? null;
  }

  /** Called with each new session, and with null when it has ended, here or in another tab. */
  onSession(listener: (session: Session | null) => void): void {
    this.sessionListeners.add(listener);
  }

  /** Called when the server is lost, and when it is back. */
  onReachable(listener: (reachable: boolean) => void): void {
    this.reachableListeners.add(listener);
  }

  get<P extends PathFor<"get">>(path: P, options: RequestOptions<P, "get"> = {}): Promise<ResponseOf<P, "get">> {
    return this.json("get", path, options);
  }

  post<P extends PathFor<"post">>(path: P, options: RequestOptions<P, "post"> = {}): Promise<ResponseOf<P, "post">> {
    return this.json("post", path, options);
  }

  put<P extends PathFor<"put">>(path: P, options: RequestOptions<P, "put"> = {}): Promise<ResponseOf<P, "put">> {
    return this.json("put", path, options);
  }

  patch<P extends PathFor<"patch">>(path: P, options: RequestOptions<P, "patch"> = {}): Promise<ResponseOf<P, "patch">> {
    return this.json("patch", path, options);
  }

  delete<P extends PathFor<"delete">>(path: P, options: RequestOptions<P, "delete"> = {}): Promise<ResponseOf<P, "delete">> {
    return this.json("delete", path, options);
  }

  /** Begins a session with what login, second factor or refresh gave, here and in the other tabs. */
  signIn(signedIn: SignedIn): Session {
    const session = this.sessionOf(signedIn);
    this.around.setLeaving(false);
    this.turn(session);
    this.around.tell({ type: "session", session });
    return session;
  }

  /** Ends the session in all tabs, and on the server: if it cannot be told now, it is before the cookie is used again. */
  async signOut(): Promise<void> {
    const token = this.session?.token;
    this.end();
    this.around.setLeaving(true);
    await this.leave(token).catch(() => undefined);
  }

  /** The user has changed (a name, a second factor): the tabs show it. */
  updateUser(user: User): void {
    if (this.session === null) return;
    this.take({ ...this.session, user });
    this.around.tell({ type: "session", session: this.session });
  }

  /** A session from the cookie, if it still holds one; null if not. Raises UnreachableError, ProblemError (503, 429). */
  async resume(): Promise<Session | null> {
    if (this.around.leaving()) await this.leave();
    return await this.refresh(null);
  }

  /** A response to a signed request, whatever its type; raises ProblemError for all that is no success, AbortError if who asked has left. */
  async raw(method: Method, url: string, init: { headers?: Record<string, string>; body?: string; signal?: AbortSignal } = {}): Promise<Response> {
    const stillThere = this.whoAsks();
    let renewed = false;
    for (let attempt = 1; ; attempt++) {
      const token = await this.usableToken();
      stillThere();
      const headers = { ...init.headers, ...(token ? { authorization: `Bearer ${token}` } : {}) };
      const response = await this.fetchOnce(url, { method: method.toUpperCase(), headers, body: init.body, signal: init.signal });
      stillThere();
      if (response.ok || response.status === 304) return response;
      const problem = await problemOf(response);
      if (response.status === 401 && problem.code === "unauthenticated" && !renewed) {
        renewed = true;
        if ((await this.refresh(token)) === null) throw problem;
        continue;
      }
      await this.waitOrThrow(problem, method, attempt, init.signal);
    }
  }

  private async json(method: Method, path: string, options: AnyOptions): Promise<never> {
    const url = address(path, options.path, options.query);
    const headers: Record<string, string> = { ...options.headers };
    if (options.body !== undefined) headers["content-type"] = "application/json";
    const body = options.body === undefined ? undefined : JSON.stringify(options.body);
    const stillThere = options.authorized === false ? () => undefined : this.whoAsks();
    const response =
      options.authorized === false
        ? await this.unsigned(method, url, { headers, body, signal: options.signal })
        : await this.raw(method, url, { headers, body, signal: options.signal });
    const text = response.status === 204 ? "" : await response.text();
    stillThere();
    return (text ? JSON.parse(text) : undefined) as never;
  }

  /** Raises AbortError, when called, if whoever is signed in now is not any more. */
  private whoAsks(): () => void {
    const who = this.user?.id;
    return () => {
      if (who !== undefined && this.user?.id !== who) throw new DOMException("whoever asked has left", "AbortError");
    };
  }

  private async unsigned(method: Method, url: string, init: { headers: Record<string, string>; body?: string; signal?: AbortSignal }): Promise<Response> {
    const response = await this.fetchOnce(url, { method: method.toUpperCase(), ...init });
    if (response.ok) return response;
    throw await problemOf(response);
  }

  /** Returns if it is worth asking again; 429 was not carried out, so anything may be; 503 only what changes nothing. */
  private async waitOrThrow(problem: ProblemError, method: Method, attempt: number, signal?: AbortSignal): Promise<void> {
    const again = problem.status === 429 || (problem.status === 503 && problem.code === "unavailable" && method === "get");
    const seconds = problem.retryAfterSeconds ?? attempt;
    if (!again || attempt >= TRIES || seconds > LONGEST_WAIT_SECONDS) throw problem;
    await this.around.sleep(seconds * 1000, signal);
  }

  private async usableToken(): Promise<string | null> {
    if (this.session === null) return null;
    if (this.session.expiresAt - this.around.now() > EARLY_MILLISECONDS) return this.session.token;
    return (await this.refresh(this.session.token))?.token ?? null;
  }

  /** A session whose token is another one than `stale`. */
  private refresh(stale: string | null): Promise<Session | null> {
    if (this.session !== null && this.session.token !== stale) return Promise.resolve(this.session);
    this.refreshing ??= this.around
      .locked("docuvault-refresh", async () => {
        if (this.session !== null && this.session.token !== stale) return this.session; // another tab was faster
        return await this.refreshNow();
      })
      .finally(() => (this.refreshing = null));
    return this.refreshing;
  }

  private async refreshNow(): Promise<Session | null> {
    for (let attempt = 1; ; attempt++) {
      const turn = this.turns;
      const response = await this.fetchOnce("/api/auth/refresh", { method: "POST" });
      const signedIn = response.ok ? ((await response.json()) as SignedIn) : null;
      if (turn !== this.turns) return this.session; // signed in or out meanwhile, which is newer than what this says
      if (signedIn !== null) return this.signIn(signedIn);
      const problem = await problemOf(response);
      if (response.status === 401 || response.status === 403) {
        this.end();
        return null;
      }
      await this.waitOrThrow(problem, "get", attempt);
    }
  }

  private async leave(token?: string): Promise<void> {
    const turn = this.turns;
    const headers: Record<string, string> = token ? { authorization: `Bearer ${token}` } : {};
    const response = await this.fetchOnce("/api/auth/logout", { method: "POST", headers });
    if (!response.ok && response.status !== 401 && response.status !== 403) throw await problemOf(response); // those are no session's
    if (turn === this.turns) this.around.setLeaving(false);
  }

  private end(): void {
    const hadOne = this.session !== null;
    this.turn(null);
    if (hadOne) this.around.tell({ type: "signed-out" });
  }

  private turn(session: Session | null): void {
    this.turns++;
    this.take(session);
  }

  private take(session: Session | null): void {
    this.session = session;
    for (const listener of this.sessionListeners) listener(session);
  }

  private sessionOf(signedIn: SignedIn): Session {
    return { token: signedIn.access_token, expiresAt: this.around.now() + signedIn.expires_in * 1000, user: signedIn.user };
  }

  private async fetchOnce(url: string, init: RequestInit): Promise<Response> {
    try {
      const response = await this.around.fetch(url, { credentials: "same-origin", cache: "no-store", ...init });
      this.sayReachable(true);
      return response;
    } catch (error) {
      if (init.signal?.aborted) throw error;
      this.sayReachable(false);
      throw new UnreachableError(error);
    }
  }

  private sayReachable(reachable: boolean): void {
    if (this.reachable === reachable) return;
    this.reachable = reachable;
    for (const listener of this.reachableListeners) listener(reachable);
  }
}

type AnyOptions = {
  path?: unknown;
  query?: unknown;
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
  authorized?: boolean;
};

/** A path with its parameters and query filled in; a list is repeated, what is absent, null or empty is left out. */
export function address(path: string, parameters?: unknown, query?: unknown): string {
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String((parameters as Record<string, unknown>)[name])));
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries((query ?? {}) as Record<string, unknown>)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== null && one !== "") search.append(name, String(one));
    }
  }
  return search.size ? `${filled}?${search}` : filled;
}

const LEAVING = "docuvault-leaving";

/** The browser itself. Without Web Locks (a page that is not secure has none) each tab refreshes for itself, which the server bears. */
export function browser(): Surroundings {
  const channel = typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel("docuvault-session");
  return {
    fetch: (url, init) => fetch(url, init),
    locked: async (name, work) => (navigator.locks ? ((await navigator.locks.request(name, work)) as Awaited<ReturnType<typeof work>>) : await work()),
    tell: (message) => channel?.postMessage(message),
    onTold: (listener) => channel?.addEventListener("message", (event: MessageEvent<Told>) => listener(event.data)),
    leaving: () => {
      try {
        return localStorage.getItem(LEAVING) !== null;
      } catch {
        return false; // storage is switched off
      }
    },
    setLeaving: (leaving) => {
      try {
        if (leaving) localStorage.setItem(LEAVING, "1");
        else localStorage.removeItem(LEAVING);
      } catch {
        // then it holds until the tab is closed
      }
    },
    now: () => Date.now(),
    sleep,
  };
}

/** Waits; raises AbortError if the signal says so first. */
export function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const aborted = () => {
      clearTimeout(timer);
      reject(new DOMException("aborted", "AbortError"));
    };
    if (signal?.aborted) return reject(new DOMException("aborted", "AbortError"));
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", aborted);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", aborted, { once: true });
  });
}

export const api = new ApiClient(browser());
