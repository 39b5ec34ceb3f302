import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import vue from "@vitejs/plugin-vue";
import type { Plugin } from "vite";
import { build } from "vite";
import { defineConfig } from "vitest/config";

const DIST = fileURLToPath(new URL("../dist", import.meta.url));
const SERVICE_WORKER = "sw.js";

/** Beside each text file its compressed forms, so that the function that serves them compresses nothing. */
function precompress(): Plugin {
  let folder = DIST;
  return {
    name: "precompress",
    apply: "build",
    configResolved(config) {
      folder = config.build.outDir;
    },
    closeBundle() {
      for (const path of files(folder)) {
        if (!/\.(js|mjs|css|html|svg|webmanifest)$/.test(path) || path.endsWith(SERVICE_WORKER)) continue;
        const content = readFileSync(path);
        if (content.length < 512) continue;
        const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: content.length } };
        writeFileSync(`${path}.br`, brotliCompressSync(content, quality));
        writeFileSync(`${path}.gz`, gzipSync(content, { level: 9 }));
      }
    },
  };
}

/** The service worker: one file, under a name that stays, not compressed (it is small, and made when the others are being compressed). */
function serviceWorker(): Plugin {
  let folder = DIST;
  return {
    name: "service-worker",
    apply: "build",
    configResolved(config) {
      folder = config.build.outDir;
    },
    async closeBundle() {
      await build({
        configFile: false,
        publicDir: false,
        logLevel: "error",
        build: {
          outDir: join(folder, "assets"),
          emptyOutDir: false,
          target: "es2022",
          modulePreload: false,
          rolldownOptions: {
            input: fileURLToPath(new URL("./src/share/service_worker.ts", import.meta.url)),
            output: { entryFileNames: SERVICE_WORKER, format: "iife" },
          },
        },
      });
    },
  };
}

function files(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? files(path) : [path];
  });
}

export default defineConfig({
  plugins: [vue(), serviceWorker(), precompress()],
  resolve: { alias: { "@": fileURLToPath(new URL("./src", import.meta.url)) } },
  define: {
    __VUE_OPTIONS_API__: "false",
    __VUE_PROD_DEVTOOLS__: "false",
    __VUE_I18N_LEGACY_API__: "false",
    __VUE_I18N_FULL_INSTALL__: "false",
    __INTLIFY_PROD_DEVTOOLS__: "false",
  },
  build: {
    outDir: DIST,
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0, // the policy allows no data: URLs
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    chunkSizeWarningLimit: 2000,
    rolldownOptions: {
      output: {
        // The manifest names it, and is not rewritten.
        assetFileNames: (asset) => (asset.names[0] === "favicon.svg" ? "assets/favicon.svg" : "assets/[name]-[hash][extname]"),
        // Few files for what nearly every visit needs: each costs a request and compresses worse alone.
        codeSplitting: {
          groups: [
            { name: "vue", test: /node_modules[\\/](@?vue|pinia|@intlify)/, priority: 3 },
            { name: "kit", test: /src[\\/](api|stores|components[\\/](App(Button|Icon|Notice)|TextField|OpenPage|BrandMark|icons)|i18n[\\/](en|explain|index|formats)|keyboard|lazy|assets)/, priority: 2 },
          ],
        },
      },
    },
  },
  worker: { format: "es" },
  test: { environment: "happy-dom", include: ["tests/**/*.test.ts"], testTimeout: 60_000 },
});
