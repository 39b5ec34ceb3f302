import { describe, expect, it, vi } from "vitest";
import { address, ApiClient, type Surroundings } from "@/api/client";
import { ProblemError, UnreachableError } from "@/api/problems";
import type { User } from "@/api/types";

const USER = { id: "u", email: "ada@example.org" } as User;

/** A server of one account, with as many tabs as are asked for. */
class Server {
  valid = "t0";
  refreshes = 0;
  cookie = true;
  down = false;
  readonly requests: string[] = [];
  respond: (url: string, init: RequestInit) => Response | null = () => null;
  leaving = false;
  private readonly locks = new Map<string, Promise<unknown>>();
  private readonly listeners: ((message: never) => void)[][] = [];
  readonly slept: number[] = [];
  clock = 0;

  tab(): ApiClient {
    const mine: ((message: never) => void)[] = [];
    this.listeners.push(mine);
    const around: Surroundings = {
      fetch: async (url, init) => {
        await Promise.resolve();
        if (this.down) throw new TypeError("failed to fetch");
        return await this.serve(url, init);
      },
      locked: async (name, work) => {
        const before = this.locks.get(name) ?? Promise.resolve();
        const running = before.catch(() => undefined).then(work);
        this.locks.set(name, running);
        return await running;
      },
      tell: (message) => {
        for (const others of this.listeners) if (others !== mine) for (const listener of others) listener(structuredClone(message) as never);
      },
      onTold: (listener) => mine.push(listener as (message: never) => void),
      leaving: () => this.leaving,
      setLeaving: (leaving) => void (this.leaving = leaving),
      now: () => this.clock,
      sleep: async (milliseconds) => void this.slept.push(milliseconds),
    };
    return new ApiClient(around);
  }

  private async serve(url: string, init: RequestInit): Promise<Response> {
    this.requests.push(`${init.method} ${url}`);
    const special = this.respond(url, init);
    if (special) return special;
    if (url === "/api/auth/refresh") {
      this.refreshes++;
      if (!this.cookie) return problem(401, "unauthenticated");
      await new Promise((resolve) => setTimeout(resolve, 5));
      this.valid = `t${this.refreshes}`;
      return json({ access_token: this.valid, expires_in: 900, user: USER });
    }
    if (url === "/api/auth/logout") return new Response(null, { status: 204 });
    const sent = (init.headers as Record<string, string>).authorization;
    return sent === `Bearer ${this.valid}` ? json({ items: [], next_cursor: null }) : problem(401, "unauthenticated");
  }
}

function json(body: unknown, status = 200): Response {
  return new Response(JSON.stringify(body), { status, headers: { "content-type": "application/json" } });
}

function problem(status: number, code: string, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify({ status, code }), { status, headers: { "content-type": "application/problem+json", ...headers } });
}

function signedIn(server: Server): ApiClient {
  const client = server.tab();
  client.signIn({ access_token: server.valid, expires_in: 900, user: USER });
  return client;
}

describe("a token that has run out", () => {
  it("is renewed once, however many requests wait", async () => {
    const server = new Server();
    const client = signedIn(server);
    server.valid = "another";
    await Promise.all(Array.from({ length: 20 }, () => client.get("/api/topics")));
    expect(server.refreshes).toBe(1);
  });

  it("is renewed once, however many tabs wait", async () => {
    const server = new Server();
    const tabs = Array.from({ length: 4 }, () => signedIn(server));
    server.valid = "another";
    await Promise.all(tabs.flatMap((tab) => [tab.get("/api/topics"), tab.get("/api/topics")]));
    expect(server.refreshes).toBe(1);
  });

  it("is renewed before it is used, if that is soon", async () => {
    const server = new Server();
    const client = signedIn(server);
    server.clock = 890_000;
    await client.get("/api/topics");
    expect(server.requests).toEqual(["POST /api/auth/refresh", "GET /api/topics"]);
  });

  it("does not end the session when the server is away", async () => {
    const server = new Server();
    const client = signedIn(server);
    server.clock = 901_000;
    server.down = true;
    const seen: (boolean | null)[] = [];
    client.onReachable((reachable) => seen.push(reachable));
    await expect(client.get("/api/topics")).rejects.toBeInstanceOf(UnreachableError);
    expect(client.user).toEqual(USER);
    server.down = false;
    await client.get("/api/topics");
    expect(seen).toEqual([false, true]);
  });

  it("ends the session in all tabs when the cookie has ended", async () => {
    const server = new Server();
    const [one, two] = [signedIn(server), signedIn(server)];
    const ended = vi.fn();
    two.onSession(ended);
    server.valid = "another";
    server.cookie = false;
    await expect(one.get("/api/topics")).rejects.toMatchObject({ status: 401 });
    expect(one.user).toBeNull();
    expect(ended).toHaveBeenLastCalledWith(null);
    expect(two.user).toBeNull();
  });

  it("that is refused again after a renewal is not renewed for ever", async () => {
    const server = new Server();
    const client = signedIn(server);
    server.respond = (url) => (url === "/api/topics" ? problem(401, "unauthenticated") : null);
    await expect(client.get("/api/topics")).rejects.toBeInstanceOf(ProblemError);
    expect(server.refreshes).toBe(1);
  });
});

describe("signing in and out", () => {
  it("in one tab is signing in and out in all", async () => {
    const server = new Server();
    const [one, two] = [server.tab(), server.tab()];
    one.signIn({ access_token: server.valid, expires_in: 900, user: USER });
    expect(two.user).toEqual(USER);
    await two.signOut();
    expect(one.user).toBeNull();
  });

  it("after a reload goes by the cookie", async () => {
    const server = new Server();
    const client = server.tab();
    expect((await client.resume())?.user).toEqual(USER);
    server.cookie = false;
    expect(await server.tab().resume()).toBeNull();
  });

  it("is not undone by a refresh that was under way", async () => {
    const server = new Server();
    const client = server.tab();
    server.cookie = false;
    const resumed = client.resume();
    client.signIn({ access_token: server.valid, expires_in: 900, user: USER }); // at the sign-in page, before the cookie was refused
    expect((await resumed)?.user).toEqual(USER);
    expect(client.user).toEqual(USER);

    server.cookie = true;
    const sessions = vi.fn();
    client.onSession(sessions);
    server.valid = "another";
    const asked = client.get("/api/topics");
    for (let turn = 0; turn < 1000 && !server.requests.includes("POST /api/auth/refresh", 1); turn++) await Promise.resolve();
    await client.signOut();
    await expect(asked).rejects.toBeDefined();
    expect([client.user, sessions.mock.calls]).toEqual([null, [[null]]]);
  });

  it("ends what somebody else had asked for", async () => {
    const server = new Server();
    const client = signedIn(server);
    const other = { access_token: server.valid, expires_in: 900, user: { ...USER, id: "other" } };
    const topics = client.get("/api/topics");
    client.signIn(other);
    await expect(topics).rejects.toMatchObject({ name: "AbortError" });

    server.requests.length = 0;
    server.respond = (url) => {
      if (url !== "/api/topics") return null;
      client.signIn({ ...other, user: USER });
      return problem(429, "rate_limited", { "retry-after": "1" });
    };
    const created = client.post("/api/topics", { body: { name: "x" } }); // not sent again in another's name
    await expect(created).rejects.toMatchObject({ name: "AbortError" });
    expect(server.requests).toHaveLength(1);
  });

  it("without the server ends on the server before the cookie is used again", async () => {
    const server = new Server();
    const client = signedIn(server);
    server.down = true;
    await client.signOut();
    expect(client.user).toBeNull();
    await expect(server.tab().resume()).rejects.toBeInstanceOf(UnreachableError);
    server.down = false;
    server.requests.length = 0;
    await server.tab().resume();
    expect(server.requests).toEqual(["POST /api/auth/logout", "POST /api/auth/refresh"]);
    server.requests.length = 0;
    await server.tab().resume();
    expect(server.requests).toEqual(["POST /api/auth/refresh"]);
    server.down = true;
    await client.signOut();
    client.signIn({ access_token: server.valid, expires_in: 900, user: USER }); // by the password: a session of its own
    expect(server.leaving).toBe(false);
  });

  it("with a wrong password is no reason to refresh", async () => {
    const server = new Server();
    server.respond = (url) => (url === "/api/auth/login" ? problem(401, "invalid_credentials") : null);
    const body = { email: "a", password: "b" };
    await expect(server.tab().post("/api/auth/login", { body, authorized: false })).rejects.toMatchObject({ code: "invalid_credentials" });
    expect(server.refreshes).toBe(0);
  });
});

describe("a server that is busy", () => {
  it("is asked again after the time it says", async () => {
    const server = new Server();
    const client = signedIn(server);
    let tries = 0;
    server.respond = (url) => (url === "/api/topics" && ++tries < 3 ? problem(429, "rate_limited", { "retry-after": "7" }) : null);
    await client.post("/api/topics", { body: { name: "x" } });
    expect(server.slept).toEqual([7000, 7000]);
  });

  it("is not waited for longer than a person would", async () => {
    const server = new Server();
    const client = signedIn(server);
    server.respond = (url) => (url === "/api/topics" ? problem(429, "rate_limited", { "retry-after": "600" }) : null);
    await expect(client.get("/api/topics")).rejects.toMatchObject({ code: "rate_limited", retryAfterSeconds: 600 });
    expect(server.slept).toEqual([]);
  });

  it("is asked again after 503 only for what changes nothing", async () => {
    const server = new Server();
    const client = signedIn(server);
    let tries = 0;
    server.respond = (url) => (url === "/api/topics" && ++tries === 1 ? problem(503, "unavailable", { "retry-after": "1" }) : null);
    await client.get("/api/topics");
    expect(tries).toBe(2);
    tries = 0;
    await expect(client.post("/api/topics", { body: { name: "x" } })).rejects.toMatchObject({ status: 503 });
    expect(tries).toBe(1);
  });

  it("may respond with a page instead of a problem", async () => {
    const server = new Server();
    const client = signedIn(server);
    server.respond = () => new Response("<html>bad gateway</html>", { status: 502 });
    await expect(client.post("/api/topics")).rejects.toMatchObject({ status: 502, code: "unavailable" });
  });
});

describe("an address", () => {
  it("has its parameters encoded, lists repeated, and what is empty left out", () => {
    expect(address("/api/x/{id}", { id: "a/b" }, { topic_id: ["1", "2"], q: "", sort: null, limit: 5 })).toBe("/api/x/a%2Fb?topic_id=1&topic_id=2&limit=5");
  });
});
