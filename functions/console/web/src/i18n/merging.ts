// Making one topic of two, in all languages at once: it comes with its dialog.
export const merging = {
  en: {
    merging: {
      title: "Merge “{name}”",
      text: "Its documents go under the other topic, and “{name}” is gone. This cannot be undone.",
      into: "Into",
      submit: "Merge",
      done: "“{name}” is part of “{into}” now.",
    },
  },
  de: {
    merging: {
      title: "„{name}“ zusammenlegen",
      text: "Seine Dokumente kommen unter das andere Thema, und „{name}“ gibt es nicht mehr. Das lässt sich nicht rückgängig machen.",
      into: "Mit",
      submit: "Zusammenlegen",
      done: "„{name}“ gehört jetzt zu „{into}“.",
    },
  },
};
