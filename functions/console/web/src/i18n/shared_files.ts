// What another app has shared with this one, in all languages at once: it comes with its dialog.
export const sharedFiles = {
  en: {
    sharedFiles: {
      title: "Put into your vault?",
      text: "Another app has shared this with DocuVault.",
      add: "Put in",
      discard: "Discard",
      more: "and {n} more",
      discarded: "What was shared was discarded.",
      failed: "What was shared could not be taken: it may be too large for this browser, or more than 200 files. Use “Upload” instead.",
    },
  },
  de: {
    sharedFiles: {
      title: "In Ihren Tresor legen?",
      text: "Eine andere App hat dies mit DocuVault geteilt.",
      add: "Hineinlegen",
      discard: "Verwerfen",
      more: "und {n} weitere",
      discarded: "Das Geteilte wurde verworfen.",
      failed: "Das Geteilte konnte nicht angenommen werden: Vielleicht ist es zu groß für diesen Browser, oder es sind mehr als 200 Dateien. Nehmen Sie stattdessen „Hochladen“.",
    },
  },
};
