import "./styles/tokens.css";
import "./styles/base.css";
import { createPinia } from "pinia";
import { createApp } from "vue";
import App from "./App.vue";
import { i18n, languageFor, showLanguage } from "./i18n";
import { router } from "./router";
import { readPreferences, showTheme } from "./stores/preferences";

const preferences = readPreferences();
showTheme(preferences.theme);
await showLanguage(languageFor(preferences.language)).catch(() => undefined); // English is here in any case
createApp(App).use(createPinia()).use(i18n).use(router).mount("#app");
