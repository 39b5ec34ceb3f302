// What screens may ask of the shell around them.
import type { InjectionKey } from "vue";

/** Opens the picker of files to upload. */
export const pickFiles: InjectionKey<() => void> = Symbol("pick files");
