// Moving documents to another place, in all languages at once: it comes with its dialog.
export const moving = {
  en: {
    moving: {
      title: "Move to",
      text: "Each copy is checked before the original goes. Search, topics and links stay as they are.",
      server: "This server",
      nowhere: "No cloud is connected. Connect one in the settings, under “Storage”.",
      settings: "To the settings",
      broken: "does not work just now",
      looking: "Looking for your places …",
      submit: "Move",
      done: "Nothing is moved. | It is being moved to {place}. | {n} documents are being moved to {place}.",
      undone: "They go back to where they were.",
    },
  },
  de: {
    moving: {
      title: "Verschieben nach",
      text: "Jede Kopie wird geprüft, bevor das Original geht. Suche, Themen und Links bleiben, wie sie sind.",
      server: "Dieser Server",
      nowhere: "Keine Cloud ist verbunden. Verbinden Sie eine in den Einstellungen, unter „Ablage“.",
      settings: "Zu den Einstellungen",
      broken: "funktioniert gerade nicht",
      looking: "Ihre Orte werden gesucht …",
      submit: "Verschieben",
      done: "Nichts wird verschoben. | Es wird nach {place} verschoben. | {n} Dokumente werden nach {place} verschoben.",
      undone: "Sie kehren dorthin zurück, wo sie waren.",
    },
  },
};
