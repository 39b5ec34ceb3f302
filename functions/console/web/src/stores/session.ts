// Who is signed in, in this tab and, told by the API client, in the others.
import { defineStore } from "pinia";
import { computed, ref } from "vue";
import { api } from "@/api/client";
import type { SignedIn, User } from "@/api/types";

export type SessionState = "unknown" | "signed-in" | "signed-out";
export type Challenge = { token: string; methods: string[] };

export const useSession = defineStore("session", () => {
  const state = ref<SessionState>("unknown");
  const user = ref<User | null>(null);
  const reachable = ref(true);
  const isAdmin = computed(() => user.value?.role === "admin");

  api.onSession((session) => {
    user.value = session?.user ?? null;
    state.value = session === null ? "signed-out" : "signed-in";
  });
  api.onReachable((now) => (reachable.value = now));

  /** After a reload the cookie may still hold a session. Raises what the client raises if the server cannot say. */
  async function resume(): Promise<void> {
    if ((await api.resume()) === null) state.value = "signed-out";
  }

  /** Signs in; a challenge if a second factor is asked for. */
  async function signIn(email: string, password: string): Promise<Challenge | null> {
    const response = await api.post("/api/auth/login", { body: { email, password }, authorized: false });
    return take(response as unknown as SignedIn & { status: string; challenge_token: string; methods: string[] });
  }

  async function verify(challenge: Challenge, answer: { code: string } | { backup_code: string }): Promise<void> {
    const body = { challenge_token: challenge.token, ...answer };
    take((await api.post("/api/auth/second-factor", { body, authorized: false })) as unknown as SignedIn & { status: string });
  }

  /** Registers and signs in at once, as the server allows; whether the address was taken shows only there. */
  async function register(email: string, password: string, displayName: string): Promise<Challenge | null> {
    const body = { email, password, ...(displayName ? { display_name: displayName } : {}) };
    await api.post("/api/auth/register", { body, authorized: false });
    return await signIn(email, password);
  }

  async function signOut(): Promise<void> {
    await api.signOut();
  }

  function take(response: SignedIn & { status?: string; challenge_token?: string; methods?: string[] }): Challenge | null {
    if (response.status === "second_factor_required") return { token: response.challenge_token!, methods: response.methods ?? [] };
    api.signIn(response);
    return null;
  }

  return { state, user, reachable, isAdmin, resume, signIn, verify, register, signOut };
});
