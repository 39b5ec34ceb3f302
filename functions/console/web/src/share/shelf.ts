// Name of the cache in which the service worker lays what was shared.
export const SHELF = "docuvault-shared";
