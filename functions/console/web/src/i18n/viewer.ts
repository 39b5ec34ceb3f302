// The viewer, in all languages at once: it comes with its screen.
export const viewer = {
  en: {
    viewer: {
      title: "Pages",
      pages: "The pages, to be scrolled",
      page: "Page {n}",
      pageOf: "Page {n} of {all}",
      loading: "Loading, {percent} %",
      larger: "Larger",
      smaller: "Smaller",
      fit: "As wide as the page",
      unreadable: "This file cannot be shown here. Download it to open it.",
    },
  },
  de: {
    viewer: {
      title: "Seiten",
      pages: "Die Seiten, zum Blättern",
      page: "Seite {n}",
      pageOf: "Seite {n} von {all}",
      loading: "Lädt, {percent} %",
      larger: "Größer",
      smaller: "Kleiner",
      fit: "So breit wie die Seite",
      unreadable: "Diese Datei lässt sich hier nicht zeigen. Laden Sie sie herunter, um sie zu öffnen.",
    },
  },
};
