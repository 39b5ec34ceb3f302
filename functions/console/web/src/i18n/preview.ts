// The quick preview, in all languages at once: it comes with it.
export const preview = {
  en: { preview: { open: "Open the document", place: "{at} of {all}" } },
  de: { preview: { open: "Dokument öffnen", place: "{at} von {all}" } },
};
