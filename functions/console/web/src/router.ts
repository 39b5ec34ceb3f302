// Every address of the console. Screens load when they are shown; `open` ones need no sign-in.
import { createRouter, createWebHistory } from "vue-router";
import type { RouteRecordRaw } from "vue-router";
import { isTyping, keepKeys, replayKeys, takeKeys } from "./keyboard";
import { tell } from "./lazy";

declare module "vue-router" {
  interface RouteMeta {
    /** For strangers, too. */
    open?: boolean;
    /** Message key of the page's title; a screen with a better one sets it itself. */
    title?: string;
    /** Shown without the shell. */
    bare?: boolean;
    admin?: boolean;
  }
}

export const routes: RouteRecordRaw[] = [
  { path: "/", name: "library", component: () => import("@/screens/LibraryScreen.vue"), meta: { title: "nav.library" } },
  { path: "/trash", name: "trash", component: () => import("@/screens/LibraryScreen.vue"), meta: { title: "nav.trash" } },
  { path: "/documents/:documentId", name: "document", component: () => import("@/screens/DocumentScreen.vue"), props: true, meta: { title: "nav.document" } },
  { path: "/triage", name: "triage", component: () => import("@/screens/TriageScreen.vue"), meta: { title: "nav.triage" } },
  { path: "/lookalikes", name: "lookalikes", component: () => import("@/screens/LookalikesScreen.vue"), meta: { title: "nav.lookalikes" } },
  { path: "/topics", name: "topics", component: () => import("@/screens/TopicsScreen.vue"), meta: { title: "nav.topics" } },
  { path: "/settings", redirect: "/settings/account" },
  { path: "/settings/:section", name: "settings", component: () => import("@/screens/SettingsScreen.vue"), props: true, meta: { title: "nav.settings" } },
  { path: "/admin", redirect: "/admin/overview" },
  { path: "/admin/:section", name: "admin", component: () => import("@/screens/AdminScreen.vue"), props: true, meta: { title: "nav.admin", admin: true } },
  { path: "/sign-in", name: "sign-in", component: () => import("@/screens/SignInScreen.vue"), meta: { open: true, bare: true, title: "signIn.title" } },
  { path: "/register", name: "register", component: () => import("@/screens/SignInScreen.vue"), meta: { open: true, bare: true, title: "register.title" } },
  { path: "/forgot-password", name: "forgot-password", component: () => import("@/screens/ForgotPasswordScreen.vue"), meta: { open: true, bare: true, title: "forgot.title" } },
  { path: "/reset-password", name: "reset-password", component: () => import("@/screens/ResetPasswordScreen.vue"), meta: { open: true, bare: true, title: "reset.title" } },
  { path: "/shared/:token", name: "shared", component: () => import("@/screens/SharedScreen.vue"), props: true, meta: { open: true, bare: true, title: "shared.title" } },
  { path: "/:unknown(.*)*", name: "unknown", component: () => import("@/screens/UnknownScreen.vue"), meta: { open: true, bare: true, title: "unknown.title" } },
];

export const router = createRouter({
  history: createWebHistory(),
  routes,
  scrollBehavior: (_to, _from, saved) => saved ?? { top: 0 },
});

// A key that is pressed while a screen's code loads is for that screen; but for what is being typed somewhere.
router.beforeEach((to) => {
  const here = to.matched.every((record) => Object.values(record.components ?? {}).every((one) => typeof one !== "function"));
  if (!here && !isTyping(document.activeElement)) keepKeys("screen");
  return true;
});
router.afterEach(() => void setTimeout(() => replayKeys("screen")));

// A screen that is not there may be one of an older version, whose files are gone: the page is loaded anew, if the server responds at all.
router.onError(async (error, to) => {
  if (!/module|preload/i.test(String(error))) return;
  takeKeys();
  const response = await fetch(to.fullPath, { method: "HEAD" }).catch(() => null);
  if (response?.ok) location.assign(to.fullPath);
  else tell();
});
